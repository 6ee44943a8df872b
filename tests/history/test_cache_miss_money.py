"""What a cache miss cost follows the prices, also when they are corrected later."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gateway.history.caching.money import lost_by, value_again
from gateway.history.totals.recosting import between, recompute
from gateway.models import CacheMiss, RequestLog
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates

BEGAN = datetime(2026, 11, 30, 12, tzinfo=UTC)
SHORT = Rates(Decimal(2), Decimal(10), Decimal("0.10"), Decimal("2.50"), Decimal(4))
LONG = Rates(Decimal(4), Decimal(15), Decimal("0.20"), Decimal(5))
PRICE = Price(SHORT, tiers=((272_000, LONG),), source="price 1")


class ByTier:
    """A catalogue in which the flex tier costs half."""

    def price(self, base_url, model, at, tier=""):
        half = Rates(*(rate / 2 for rate in (SHORT.input, SHORT.output, SHORT.cache_read, SHORT.cache_write)))
        return Price(half if tier == "flex" else SHORT)


def book(price=PRICE, **more):
    return PriceBook((PriceRule(price, "m"),), addresses={"p": "http://p"}, **more)


def row(request_id="r1", **fields):
    made = {"input_tokens": 100_000, "cache_read_tokens": 0, "output_tokens": 0, "attempts": 1, **fields}
    return RequestLog(
        request_id=request_id, started_at=BEGAN, state="ok", provider="p", upstream_model="m", **made
    )


def missed(*rows, money=None):
    RequestLog.objects.bulk_create(rows)
    CacheMiss.objects.bulk_create(
        CacheMiss(
            log_id=one.request_id, before_id="r0", started_at=BEGAN, culprit="client", reason="changed",
            tokens=100_000, money=money,
        )
        for one in rows
    )  # fmt: skip


def money():
    return list(CacheMiss.objects.order_by("pk").values_list("money", flat=True))


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({}, "0.19"),
        ({"input_tokens": 0, "cache_write_tokens": 100_000}, "0.24"),
        # a longer prompt is billed by dearer rates
        ({"input_tokens": 300_000}, "0.38"),
        ({"input_tokens": 200_000, "cache_read_tokens": 100_000}, "0.38"),
        ({"input_tokens": None}, "0.19"),
        # only what was written costs what writing costs: 500 tokens, and the rest in full
        ({"cache_write_tokens": 500}, "0.19025"),
        ({"input_tokens": 0, "cache_write_tokens": 100_000, "cache_write_1h_tokens": 100_000}, "0.39"),
        ({"input_tokens": 0, "cache_write_tokens": 100_000, "cache_write_1h_tokens": 40_000}, "0.30"),
    ],
)
def test_a_miss_costs_what_its_prompt_was_billed_by(fields, lost):
    assert lost_by(100_000, row(**fields), BEGAN, book()) == Decimal(lost)


def test_a_miss_of_a_cheaper_tier_lost_less():
    prices = PriceBook(addresses={"p": "http://p"}, catalogue=ByTier())
    found = [lost_by(100_000, row(service_tier=tier), BEGAN, prices) for tier in ("", "flex", "priority")]
    assert found == [Decimal("0.19"), Decimal("0.095"), Decimal("0.19")]


@pytest.mark.django_db
def test_costs_that_are_computed_again_take_the_misses_with_them():
    missed(row("r1"), row("r2"), row("r3"), money=Decimal(7))
    recompute(between(None, None), book(), batch=2)
    assert money() == [Decimal("0.19")] * 3
    dearer = Price(Rates(Decimal(20), Decimal(0), Decimal(1)))
    recompute(between(None, None), book(dearer), batch=2)
    assert money() == [Decimal("1.9")] * 3


@pytest.mark.django_db
def test_a_price_that_came_later_values_what_had_none_and_its_removal_takes_it_back():
    missed(row())
    assert value_again(RequestLog.objects.all(), book()) == 1
    assert money() == [Decimal("0.19")]
    assert value_again(RequestLog.objects.all(), book()) == 0
    recompute(between(None, None), PriceBook(addresses={"p": "http://p"}))
    assert money() == [None]


@pytest.mark.django_db
def test_a_miss_of_a_provider_that_is_gone_keeps_its_value():
    missed(row(), money=Decimal(7))
    recompute(between(None, None), PriceBook())
    assert money() == [7]


@pytest.mark.django_db
def test_only_what_is_asked_for_is_valued_again():
    missed(row("r1"), row("r2"), money=Decimal(7))
    recompute(between(BEGAN, BEGAN), book())
    assert money() == [7, 7]
