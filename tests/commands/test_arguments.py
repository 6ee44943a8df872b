"""What people type after a command is checked before anything is done with it."""

import contextlib
import io

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from gateway.management.numbers import whole
from gateway.models import ClientKey

# runserver's are Daphne's own
OURS = sorted({name for name, app in get_commands().items() if app == "gateway"} - {"runserver"})


def arguments(name):
    parser = load_command_class("gateway", name).create_parser("manage.py", name)
    # options that Django gives to every command
    return [one for one in parser._actions if not {"--verbosity", "--version"} & set(one.option_strings)]


@pytest.mark.parametrize("name", OURS)
def test_every_number_of_a_command_has_bounds(name):
    bare = [one.dest for one in arguments(name) if one.type in (int, float)]
    assert bare == []


@pytest.mark.parametrize("text", ["", "x", "0", "11", "1.5", "1e3", "-1", "9" * 5000, "nan"])
def test_a_number_outside_its_bounds_is_refused_in_words(text):
    with pytest.raises(Exception, match="no whole number from 1 to 10"):
        whole(1, 10)(text)
    assert whole(1, 10)(" 10 ") == 10


@pytest.mark.django_db
@pytest.mark.parametrize(
    "line",
    [
        "usage --until 2026-11-30",
        "usage --month 9999-12",
        "usage --month 2026-13",
        "usage --month 2026-11 --since 2026-11-01",
        "cachereport --hours 100000000",
        "createclientkey Ann --days 4000000",
        f"createclientkey {'n' * 101}",
        "exportconfig /no/such/folder/file",
        "serve --port 70000",
        "serve --processes -1",
    ],
)
def test_what_cannot_be_done_is_one_sentence(line):
    with pytest.raises(CommandError), contextlib.redirect_stdout(io.StringIO()):
        call_command(*line.split())
    assert not ClientKey.objects.exists()
