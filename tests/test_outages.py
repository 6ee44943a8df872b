"""An outage of a provider is one line in the log, and its end is one."""

import pytest

from gateway.relay.gate import Gate
from gateway.telemetry.outages import QUIET, Outages
from tests.conftest import asking
from tests.fakes.provider import completion, error


@pytest.fixture
def said(caplog):
    caplog.set_level("INFO", "gateway.provider")
    return lambda: [(record.levelname, record.message, record.provider) for record in caplog.records]


BEGUN = ("WARNING", "exchanges fail", "acme")
OVER = ("WARNING", "exchanges no longer fail", "acme")


def test_a_hundred_failures_are_one_line_and_their_end_is_one(said, caplog):
    outages = Outages()
    for second in range(100):
        outages.failed("acme", float(second), {"error_type": "api_error"})
    outages.answered("acme", 99 + QUIET)
    outages.answered("acme", 200 + QUIET)
    assert said() == [BEGUN, OVER]
    first, last = caplog.records
    assert first.error_type == "api_error"
    assert (last.failed, last.seconds) == (100, 99)


def test_a_provider_that_fails_every_other_time_is_one_outage(said):
    outages = Outages()
    for second in range(1000):
        outages.failed("acme", float(second), {})
        outages.answered("acme", second + 0.5)
    assert said() == [BEGUN]


def test_what_one_provider_answers_does_not_end_the_outage_of_another(said):
    outages = Outages()
    outages.failed("acme", 0.0, {})
    outages.answered("other", 100.0)
    assert said() == [BEGUN]


def test_the_next_outage_is_told_again(said):
    outages = Outages()
    for at in (0.0, 100.0):
        outages.failed("acme", at, {})
        outages.answered("acme", at + QUIET)
    assert said() == [BEGUN, OVER, BEGUN, OVER]


def test_failures_before_any_provider_is_asked_are_told_again_after_a_pause(said):
    outages = Outages()
    for at in (0.0, QUIET - 1, 2 * QUIET - 1, 3 * QUIET - 2):
        outages.failed("", at, {})
    assert said() == [("WARNING", "exchanges fail", "")] * 2


async def test_a_provider_that_was_not_asked_neither_fails_nor_recovers(said, bench):
    times = iter(range(0, 10_000, 100))
    bench.set(clock=lambda: float(next(times)), outages=Outages())
    bench.provider.answers("m", error(503, "down"))
    await bench.client.messages(asking())
    assert [line[:2] for line in said()] == [("WARNING", "exchanges fail")]
    # counted here: it says nothing of the provider
    await bench.client.post("/v1/messages/count_tokens", asking())
    bench.set(gate=Gate(0, patience=0.01))
    await bench.client.messages(asking())
    assert [line[2] for line in said()] == ["fake", ""]
    bench.set(gate=Gate(1))
    bench.provider.answers("m", completion("hi"))
    await bench.client.messages(asking())
    assert [line[1:] for line in said()][-1] == ("exchanges no longer fail", "fake")
