"""The arithmetic from tokens to US dollars."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gateway.pricing.price import Price, Rates, Tokens

CLAUDE = Rates(Decimal(3), Decimal(15), Decimal("0.3"), Decimal("3.75"), Decimal(6))
counts = st.integers(0, 10**7)


def test_each_kind_of_token_has_its_rate():
    tokens = Tokens(input=1_000_000, output=100_000, cache_read=2_000_000, cache_write=400_000)
    assert Price(CLAUDE).cost(tokens) == Decimal("3") + Decimal("1.5") + Decimal("0.6") + Decimal("1.5")


def test_writes_kept_for_an_hour_are_a_part_of_the_writes():
    tokens = Tokens(cache_write=1_000_000, cache_write_1h=1_000_000)
    assert Price(CLAUDE).cost(tokens) == Decimal(6)
    half = Tokens(cache_write=1_000_000, cache_write_1h=500_000)
    assert Price(CLAUDE).cost(half) == Decimal("4.875")


def test_a_cache_without_a_price_of_its_own_costs_as_input():
    plain = Price(Rates(Decimal(2), Decimal(8)))
    assert plain.cost(Tokens(cache_read=500_000, cache_write=500_000)) == Decimal(2)


def test_a_price_for_each_request_is_added():
    assert Price(Rates(Decimal(0), Decimal(0)), request=Decimal("0.005")).cost(Tokens()) == Decimal("0.005")


def test_a_tier_is_chosen_by_all_that_was_sent_and_starts_above_its_number():
    dearer = Rates(Decimal(6), Decimal("22.5"))
    price = Price(Rates(Decimal(3), Decimal(15)), tiers=((200_000, dearer),))
    at_the_edge = Tokens(input=100_000, cache_read=60_000, cache_write=40_000, output=10)
    assert price.cost(at_the_edge) == Decimal("0.60015")
    assert price.cost(at_the_edge._replace(cache_read=60_001)) == Decimal("1.200231")


@given(counts, counts, counts, counts, counts)
def test_a_cost_is_never_negative_and_grows_with_the_tokens(plain, output, read, written, hourly):
    tokens = Tokens(plain, output, read, written, hourly)
    more = tokens._replace(output=output + 1)
    assert 0 <= Price(CLAUDE).cost(tokens) < Price(CLAUDE).cost(more)
