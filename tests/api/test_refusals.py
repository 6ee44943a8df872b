"""Refused keys stand in the log, with the address they came from, and a flood of them does not fill it."""

import logging

import pytest

from gateway.api import refusals as module
from gateway.api.head import allowance
from gateway.api.refusals import Refusals
from gateway.app.runtime import runtime
from gateway.errors import KeyRefused
from tests.conftest import asking, key_entry, rule


async def test_a_refused_key_is_a_line_in_the_log_with_its_address_and_without_the_key(
    bench, caplog, monkeypatch
):
    monkeypatch.setattr(module, "refusals", Refusals())
    bench.configure(keys=[key_entry("ccp_right")])
    bench.client.address = "192.0.2.7"
    assert (await bench.client.messages(asking(), headers={"x-api-key": "ccp_guess"})).status == 401
    [line] = [record for record in caplog.records if record.getMessage() == "client key refused"]
    facts = (line.client_address, line.path, line.problem, line.levelno)
    assert facts == (
        "192.0.2.7",
        "/v1/messages",
        "this client key is not known here; ask whoever runs the gateway",
        logging.WARNING,
    )
    assert "ccp_guess" not in str(line.__dict__)


async def test_a_key_that_is_refused_before_its_body_has_come_is_noted_like_any_other(
    bench, caplog, monkeypatch
):
    monkeypatch.setattr(module, "refusals", Refusals())
    bench.configure(keys=[key_entry("ccp_right")])
    counted = []
    monkeypatch.setattr(runtime, "key_refused", lambda refusal, address: counted.append(address))
    with pytest.raises(KeyRefused):
        allowance(b"POST", b"/v1/messages", {"x-api-key": "ccp_guess"}, "192.0.2.7")
    [line] = [record for record in caplog.records if record.getMessage() == "client key refused"]
    assert (line.client_address, line.path) == ("192.0.2.7", "/v1/messages")
    assert counted == ["192.0.2.7"]


def test_one_address_has_one_line_in_ten_seconds_that_counts_the_others(caplog):
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    for _ in range(100):
        refusals.note("192.0.2.7", "/v1/messages", "no")
    refusals.note("192.0.2.8", "/v1/messages", "no")
    now[0] = module.PAUSE
    refusals.note("192.0.2.7", "/v1/messages", "no")
    assert [(line.client_address, line.more_before) for line in caplog.records] == [
        ("192.0.2.7", 0), ("192.0.2.8", 0), ("192.0.2.7", 99),
    ]  # fmt: skip


def test_the_addresses_of_one_ipv6_client_have_one_line_together(caplog):
    refusals = Refusals(lambda: 0.0)
    for number in range(100):
        refusals.note(f"2001:db8::{number:x}", "/v1/messages", "no")
    [line] = caplog.records
    assert line.client_address == "2001:db8::0"


def test_what_is_remembered_is_bounded():
    refusals = Refusals()
    for number in range(3 * module.MOST):
        refusals.note(f"10.{number}", "/", "no")
    assert len(refusals._known) <= module.MOST


def narrow_key(bench, **key):
    """A key that may ask for one model, one whose provider is off, and one that nobody maps."""
    bench.configure(
        rules=[rule("off-*", provider="gone", id=2), rule("claude-*", id=1)],
        keys=[key_entry("ccp_a", allowed_models=("claude-a", "off-a"), **key)],
    )


@pytest.mark.parametrize(
    ("model", "signed_in", "status", "kind", "retry"),
    [
        ("claude-b", False, 403, "permission_error", None),
        ("claude-b", True, 400, "policy_blocked", "false"),
        ("off-a", False, 529, "overloaded_error", "false"),
        ("off-a", True, 503, "api_error", "false"),
    ],
)
async def test_a_refusal_is_told_as_its_client_shows_it(bench, model, signed_in, status, kind, retry):
    narrow_key(bench, signed_in=signed_in)
    headers = {"x-api-key": "ccp_a", "request-id": "theirs-1"}
    answer = await bench.client.messages(asking(model=model), headers=headers)
    assert (answer.status, answer.json["error"]["type"]) == (status, kind)
    assert answer.headers.get("x-should-retry") == retry
    assert answer.json["request_id"] == answer.headers["request-id"] != "theirs-1"
    assert bench.recorder.last.caller_request_id == "theirs-1"
    assert (bench.recorder.last.status, bench.recorder.last.error_type) == (status, kind)
