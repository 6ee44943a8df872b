from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gateway.limits.meters import Subject
from gateway.limits.spent import spent
from gateway.limits.windows import DAY, Period
from gateway.models import DailyTotal
from gateway.models.history.hourly_total import COST_UNIT

NOON = datetime(2026, 8, 8, 12, tzinfo=UTC)
TEAM = Subject("key", 7)
TODAY = Period.at(DAY, NOON.timestamp())


def total(at: datetime = NOON, key: int = 7, **numbers) -> None:
    DailyTotal.objects.create(
        hour=int(at.timestamp()) // 86400 * 24,
        endpoint=numbers.pop("endpoint", "messages"),
        client_key_pk=key,
        state=numbers.pop("state", "ok"),
        **numbers,
    )


@pytest.mark.django_db
def test_a_key_that_did_nothing_spent_nothing():
    assert spent(TEAM, TODAY) == {"spend": 0, "tokens": 0}


@pytest.mark.django_db
def test_dollars_become_billionths_and_all_tokens_count():
    total(cost_units=int(Decimal("1.5") / COST_UNIT), input_tokens=10, output_tokens=5)
    total(state="cancelled", cost_units=int(Decimal("0.25") / COST_UNIT), cache_read_tokens=100)
    assert spent(TEAM, TODAY) == {"spend": 1_750_000_000, "tokens": 115}


@pytest.mark.django_db
def test_other_days_other_keys_and_counting_are_left_out():
    total(NOON.replace(day=7, hour=23), input_tokens=1)
    total(NOON.replace(day=9, hour=0), input_tokens=1)
    total(key=8, input_tokens=1)
    total(endpoint="count_tokens", input_tokens=1)
    total(input_tokens=3)
    total(state="cancelled", input_tokens=4)
    assert spent(TEAM, TODAY)["tokens"] == 7
