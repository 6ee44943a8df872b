"""Records of prices as a book."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gateway.config.snapshot.loader import load
from gateway.models import ConfigStamp, ModelPrice, Provider
from gateway.pricing.price import Tokens

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def provider():
    return Provider.objects.create(name="Main", slug="main", base_url="https://api.openai.com/v1")


def cost(tokens, model="m", at=NOON):
    return load().prices.cost(tokens, "main", model, at)


def test_a_record_is_a_price_for_new_requests_after_the_next_load(provider):
    assert cost(Tokens(1_000_000)) is None
    stamp = ConfigStamp.current()
    record = ModelPrice.objects.create(
        model="m*", provider=provider, input=2, output=8, cache_read="0.5", request="0.01"
    )
    assert ConfigStamp.current() > stamp
    assert cost(Tokens(1_000_000, 1_000_000, 1_000_000)) == (Decimal("10.51"), f"price {record.pk}")


def test_a_record_beats_the_catalogue(provider):
    assert cost(Tokens(1_000_000), "gpt-5.6-luna").source.startswith("openai/gpt-5.6-luna")
    ModelPrice.objects.create(model="gpt-5.6-luna", input=0, output=0)
    assert cost(Tokens(1_000_000), "gpt-5.6-luna").amount == 0


def test_a_tier_keeps_the_rates_it_does_not_name(provider):
    tiers = [{"above": 500_000, "input": 9}, {"above": 100_000, "input": 4, "output": 20}]
    ModelPrice.objects.create(model="m", input=2, output=10, tiers=tiers)
    assert cost(Tokens(100_000, 1_000_000)).amount == Decimal("10.2")
    assert cost(Tokens(200_000, 1_000_000)).amount == Decimal("20.8")
    assert cost(Tokens(1_000_000, 1_000_000)).amount == Decimal(29)


def test_tiers_that_cannot_be_read_are_left_out_and_told(provider, caplog):
    ModelPrice.objects.create(model="m", input=2, output=10, tiers=[{"input": 9}])
    assert cost(Tokens(1_000_000)).amount == 2
    assert "its tiers cannot be read" in caplog.text
