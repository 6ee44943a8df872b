"""Refused keys stand in the log, with the address they came from, and a flood of them does not fill it."""

import logging

from gateway.api import refusals as module
from gateway.api.refusals import Refusals
from tests.conftest import asking, key_entry


async def test_a_refused_key_is_a_line_in_the_log_with_its_address_and_without_the_key(
    bench, caplog, monkeypatch
):
    monkeypatch.setattr("gateway.api.views.refusals", Refusals())
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


def test_what_is_remembered_is_bounded():
    refusals = Refusals()
    for number in range(3 * module.MOST):
        refusals.note(f"10.{number}", "/", "no")
    assert len(refusals._known) <= module.MOST
