from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model

from gateway.limits.meters import CounterStanding, Need, Subject, judged, meters_of_key
from gateway.limits.spent import BILLION, fullest_budget, spent
from gateway.limits.windows import DAY, Period
from gateway.models import ClientKey, DailyTotal
from gateway.models.history.hourly_total import COST_UNIT
from gateway.routing.snapshot import KeyEntry, KeyLimits, PersonLimits

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


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("own", "person", "told"),
    [
        # of the key 9 of 10 dollars, of the person 9 of 100
        ({"spend_budget": 10 * BILLION}, {"spend_budget": 100 * BILLION}, ("spend", 9 * BILLION)),
        ({"spend_budget": 100 * BILLION}, {"token_budget": 40}, ("tokens", 30)),
        ({}, {"spend_budget": 100 * BILLION, "token_budget": 400}, ("spend", 9 * BILLION)),
        # both are used up: the one that begins anew last
        ({"token_budget": 1, "budget_period": "month"}, {"token_budget": 2}, ("tokens", 30)),
        ({}, {}, None),
    ],
)
def test_people_are_told_of_the_fullest_budget_as_the_limiter_counts_it(own, person, told):
    user = get_user_model().objects.create_user("ada")
    record, _secret = ClientKey.issue("hers", user=user)
    total(key=record.pk, cost_units=int(9 / COST_UNIT), input_tokens=30)
    limits = [KeyLimits(**{"budget_period": "day", **budgets}) for budgets in (own, person)]
    key = KeyEntry(
        id=record.pk, name="hers", digest="d", owner_id=user.pk, limits=limits[0],
        person=PersonLimits(limits[1]) if person else None,
    )  # fmt: skip
    now = NOON.timestamp()
    found = fullest_budget(key, now)
    assert (found and (found.unit, found.used)) == told
    if own or person:
        meters = meters_of_key(key, now)
        standings = {
            meter.counter: CounterStanding(used=spent(meter.subject, meter.window)[meter.unit])
            for meter in meters
        }
        assert judged(meters, standings, Need(), now).budget == found
