from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from gateway.upstream.trial.probe import Level
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
    with pytest.raises(CommandError, match=r"no-such.*Known: p\."):
        call_command("probeprovider", "no-such")


def test_a_credential_that_was_set_aside_is_tried_by_itself_and_comes_back_when_it_is_good(monkeypatch):
    def probed(config, models_path, model):
        good = config.credentials[0].value == "sk-good"
        return (Level("reachable", "passed"), Level("answer", "passed" if good else "failed"))

    monkeypatch.setattr("gateway.management.commands.probeprovider.probed", probed)
    provider = make_provider()
    for value in ("sk-good", "sk-bad", "sk-good"):
        provider.add_credential(value, value)
    for record in provider.credentials.all():
        record.set_aside(401, "no")
    out = StringIO()
    call_command("probeprovider", "p", stdout=out)
    assert out.getvalue().splitlines()[-3:] == [
        "Credential sk-good: accepted, and brought back",
        "Credential sk-bad: still not accepted",
        "Credential sk-good: accepted, and brought back",
    ]
    assert [record.is_set_aside for record in provider.credentials.all()] == [False, True, False]


def test_a_list_of_models_alone_does_not_bring_a_credential_back(monkeypatch):
    monkeypatch.setattr(
        "gateway.management.commands.probeprovider.probed", lambda *_: (Level("key", "passed", "listed"),)
    )
    record = make_provider(credential="sk").credentials.get()
    record.set_aside(401, "no")
    call_command("probeprovider", "p", stdout=StringIO())
    record.refresh_from_db()
    assert record.is_set_aside
