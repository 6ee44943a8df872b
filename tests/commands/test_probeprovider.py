from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.records import make_provider

pytestmark = pytest.mark.django_db


def test_the_demo_is_probed_level_by_level():
    make_provider("Demo", "demo", origin="demo", base_url="http://demo.invalid/v1")
    out = StringIO()
    call_command("probeprovider", "demo", stdout=out)
    lines = out.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "Reachable", "Key accepted", "Short answer", "Streamed tool call",
    ]  # fmt: skip
    assert "built-in demo" in lines[2]


def test_a_provider_that_does_not_answer_fails_with_the_next_step():
    make_provider(base_url="http://127.0.0.1:1/v1")
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("probeprovider", "p", stdout=out)
    assert "Check host and port" in out.getvalue()


def test_an_unknown_provider_is_an_error_that_names_the_known_ones():
    make_provider()
    with pytest.raises(CommandError, match=r"no-such.*There are: p\."):
        call_command("probeprovider", "no-such")
