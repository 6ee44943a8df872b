"""The line of the developer's terminal, and the command that asks for it, run by a real shell."""

import json
import subprocess
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from asgiref.sync import sync_to_async

from gateway.api import status_line as module
from gateway.client_protocol.status_line import SessionStanding, line, setting
from gateway.history.outcome import ExchangeOutcome
from gateway.history.record.rows import write
from gateway.models import SessionTotal
from tests.conftest import key_entry


@pytest.mark.parametrize(
    ("standing", "text"),
    [
        (SessionStanding(), "no request of this session yet"),
        (SessionStanding("claude-a", "gpt-x", 0.4219), "claude-a → gpt-x · $0.42 this session"),
        (SessionStanding("a", "a", None, -3.0, 50.0, "month"), "a · $0.00 of $50.00 left this month"),
        (
            SessionStanding("a", "a", None, 1_200.0, 5_000.0, "day", tokens=True),
            "a · 1,200 of 5,000 tokens left this day",
        ),
        (SessionStanding("a\x1b[2J", "b\n"), "a?[2J → b?"),
    ],
)
def test_the_line_says_model_cost_and_what_is_left(standing, text):
    assert line(standing) == text


@sync_to_async
def happened(session, model, cost, *, key=1):
    now = datetime(2026, 11, 30, tzinfo=UTC)
    facts = {"session_id": session, "client_key_id": key, "provider": "p", "asked_model": "claude-a"}
    write([ExchangeOutcome("req_1", now, "messages", "ok", upstream_model=model, **facts)])
    SessionTotal.objects.update_or_create(
        session_id=session,
        holder=f"key:{key}",
        defaults={"first_at": now, "last_at": now, "cost": Decimal(cost)},
    )


@pytest.mark.django_db(transaction=True)
async def test_it_is_answered_from_memory_and_only_for_whose_session_it_is(bench, monkeypatch):
    monkeypatch.setattr(module, "_known", type(module._known)(10))
    monkeypatch.setattr(module, "REFRESH", 3_600.0)
    bench.configure(keys=[key_entry("ccp_a"), key_entry("ccp_b", id=2)])
    ask = "/api/status-line?session=s1"
    await happened("s1", "gpt-x", "1.5")
    answer = await bench.client.get(ask, headers={"x-api-key": "ccp_a"})
    assert (answer.status, answer.text.decode()) == (200, "claude-a → gpt-x · $1.50 this session")
    assert answer.headers["content-type"].startswith("text/plain")
    await happened("s1", "gpt-x", "2.5")
    assert b"$1.50" in (await bench.client.get(ask, headers={"x-api-key": "ccp_a"})).text
    other = await bench.client.get(ask, headers={"x-api-key": "ccp_b"})
    assert other.text.decode() == "no request of this session yet"
    assert (await bench.client.get(ask, headers={"x-api-key": "wrong"})).status == 401
    monkeypatch.setattr(module, "REFRESH", 0.0)
    assert b"$1.50" in (await bench.client.get(ask, headers={"x-api-key": "ccp_a"})).text
    # it may have been read meanwhile
    if reading := module._reading.get((1, "s1")):
        await reading
    assert b"$2.50" in (await bench.client.get(ask, headers={"x-api-key": "ccp_a"})).text


async def test_an_id_that_no_database_takes_is_refused(bench):
    bench.configure(keys=[key_entry("ccp_a")])
    answer = await bench.client.get("/api/status-line?session=%00", headers={"x-api-key": "ccp_a"})
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("signed_in", [False, True])
def test_the_command_sends_the_bearer_and_nothing_of_the_session_but_its_id(tmp_path, signed_in):
    """curl is replaced by a program that prints its arguments, and its input elsewhere."""
    made = json.loads("{" + setting("https://gw.example/x") + "}")["statusLine"]
    assert made["type"] == "command"
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\nprintf "%s\\n" "$@"; cat >&2\n')
    curl.chmod(0o700)
    (tmp_path / ".claude").mkdir()
    kept = {"gatewayTrust": {}, "enterpriseGateway": {"url": "u", "jwt": "cca_token", "expiresAt": 1}}
    (tmp_path / ".claude/.credentials.json").write_text(json.dumps(kept))
    env = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}
    env |= {} if signed_in else {"ANTHROPIC_AUTH_TOKEN": "ccp_key"}
    told = json.dumps({"session_id": "0a-1", "cwd": "/home/ada/secret", "model": {"id": "m"}})
    ran = subprocess.run(
        ["/bin/sh", "-c", made["command"]], input=told, env=env, capture_output=True, text=True, check=True
    )
    bearer = "cca_token" if signed_in else "ccp_key"
    # the arguments of a program can be read by everybody on its machine
    assert bearer not in ran.stdout
    assert ran.stderr == f'header = "Authorization: Bearer {bearer}"'
    assert "https://gw.example/x/api/status-line?session=0a-1\n" in ran.stdout
    assert "secret" not in ran.stdout + ran.stderr
