"""What an exchange costs."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gateway.config.snapshot.catalogue import known_prices
from gateway.history.outcome import ExchangeOutcome
from gateway.history.totals.costs import cost_of
from gateway.models.history.request_log import Endpoint
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
RATES = Rates(Decimal(3), Decimal(15), Decimal("0.3"), Decimal("3.75"), Decimal(6))
BOOK = PriceBook((PriceRule(Price(RATES, source="price 1"), "m"),))


def outcome(**fields) -> ExchangeOutcome:
    return ExchangeOutcome(
        **{
            "request_id": "req_1", "started_at": NOON, "endpoint": "messages", "state": "ok",
            "provider": "main", "upstream_model": "m", "attempts": 1, "input_tokens": 1000,
            "output_tokens": 100, **fields,
        }
    )  # fmt: skip


def test_all_four_kinds_of_tokens_count():
    told = outcome(cache_read_tokens=10_000, cache_write_tokens=2_000, cache_write_1h_tokens=1_000)
    assert cost_of(told, BOOK) == (Decimal("0.01725"), "price 1")


def test_a_request_that_is_asked_again_costs_what_it_costs():
    again = outcome(endpoint="replay", replay_of="req_0")
    assert cost_of(again, BOOK) == cost_of(outcome(), BOOK)


@pytest.mark.parametrize(
    ("tier", "cost"),
    [
        ("", "2.0"),
        ("flex", "1.0"),
        ("priority", "4.0"),
        ("fast", "4.0"),
        ("batch", "1.0"),
        ("ultrafast", "2.0"),
    ],
)
def test_the_tier_of_the_answer_decides_what_the_catalogue_charges(tier, cost):
    book = PriceBook(addresses={"main": "https://api.openai.com/v1"}, catalogue=known_prices())
    told = outcome(
        upstream_model="gpt-6.1-sol", input_tokens=100_000, output_tokens=180_000, service_tier=tier
    )
    assert cost_of(told, book)[0] == Decimal(cost)


def test_a_price_of_an_admin_holds_for_every_tier():
    assert cost_of(outcome(service_tier="flex"), BOOK) == cost_of(outcome(), BOOK)


def test_an_unknown_price_is_unpriced_and_not_free():
    assert cost_of(outcome(upstream_model="other"), BOOK) == (None, "")


@pytest.mark.parametrize(
    "fields",
    [
        {"endpoint": "count_tokens"},
        {"attempts": 0},
        {"state": "error", "input_tokens": None, "output_tokens": None},
    ],
)
def test_what_no_provider_charges_costs_nothing(fields):
    assert cost_of(outcome(**fields), BOOK) == (0, "")


@pytest.mark.parametrize("fields", [{"state": "open"}, {"state": "cancelled", "output_tokens": None}])
def test_what_is_not_known_yet_or_any_more_is_unpriced(fields):
    assert cost_of(outcome(**fields), BOOK) == (None, "")


def test_a_price_below_a_cent_keeps_its_places():
    told = outcome(input_tokens=1, output_tokens=0)
    assert cost_of(told, BOOK)[0] == Decimal("0.000003")


def test_every_endpoint_that_a_provider_answers_with_tokens_costs_what_it_costs():
    free = {Endpoint.COUNT_TOKENS}
    for endpoint in Endpoint:
        cost, _ = cost_of(outcome(endpoint=endpoint.value), BOOK)
        assert (cost == 0) == (endpoint in free), endpoint
