"""The log line of an exchange, and the names that systems around the gateway give a request."""

from decimal import Decimal

import pytest

from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates
from tests.conftest import asking, key_entry
from tests.fakes.provider import completion

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
# whoever writes one of these does not decide what stands in a log or goes to a provider
NO_TRACES = [
    "",
    "made up by a client",
    TRACE.upper(),
    f"{TRACE}-more",
    TRACE.replace("00-4", "ff-4"),
    f"00-{'0' * 32}-00f067aa0ba902b7-01",
    f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    TRACE[:-1],
    "-" * 55,
    TRACE * 100,
]


@pytest.fixture
def lines(caplog):
    caplog.set_level("INFO", "gateway.exchange")
    return lambda: [record for record in caplog.records if record.name == "gateway.exchange"]


async def test_an_exchange_is_one_line_with_who_where_and_what_it_cost(bench, lines):
    rates = Rates(Decimal(1_000_000), Decimal(2_000_000))
    prices = PriceBook((PriceRule(Price(rates, source="test"), "m"),))
    entry = key_entry("ours", owner="Ann", owner_id=7)
    bench.configure(keys=[entry], prices=prices)
    bench.provider.answers("m", completion("hi"))
    headers = {"x-api-key": "ours", "x-request-id": "proxy-1", "traceparent": TRACE}
    assert (await bench.client.post("/v1/messages", asking(), headers=headers)).status == 200
    [line] = lines()
    outcome = bench.recorder.last
    assert (line.owner_id, line.key_name, line.client_address) == (7, entry.name, outcome.client_address)
    assert line.cost == outcome.input_tokens + 2 * outcome.output_tokens
    assert (line.caller_request_id, line.traceparent) == ("proxy-1", TRACE)
    assert line.request_id == outcome.request_id != "proxy-1"


async def test_the_cost_of_a_model_without_a_price_is_unknown_in_the_line(bench, lines):
    bench.provider.answers("m", completion("hi"))
    await bench.client.messages(asking())
    assert lines()[0].cost is None


@pytest.mark.parametrize(("option", "sent"), [("drop", None), ("pass", TRACE)], ids=["drop", "pass"])
async def test_a_provider_gets_the_trace_only_by_its_option(bench, option, sent):
    bench.configure(provider={"options": {"trace_context": option}})
    bench.provider.answers("m", completion("hi"))
    await bench.client.messages(asking(), headers={"traceparent": TRACE})
    assert bench.provider.requests[-1].headers.get("traceparent") == sent


@pytest.mark.parametrize("value", NO_TRACES, ids=range(len(NO_TRACES)))
async def test_what_is_no_trace_is_neither_logged_nor_passed_on(bench, lines, value):
    bench.configure(provider={"options": {"trace_context": "pass"}})
    bench.provider.answers("m", completion("hi"))
    await bench.client.messages(asking(), headers={"traceparent": value} if value else {})
    assert lines()[0].traceparent == ""
    assert "traceparent" not in bench.provider.requests[-1].headers
