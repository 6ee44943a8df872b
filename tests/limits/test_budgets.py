import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model

from gateway.limits.meters import PERSON, Subject
from gateway.limits.spent import BILLION, budgets_of, spent
from gateway.limits.windows import Period
from gateway.models import ClientKey, DailyTotal
from gateway.models.history.hourly_total import COST_UNIT

NOON = datetime(2026, 8, 8, 12, tzinfo=UTC).timestamp()
pytestmark = pytest.mark.django_db


def used(key, dollars="0", tokens=0):
    DailyTotal.objects.create(
        hour=int(NOON) // 86400 * 24,
        endpoint="messages",
        client_key_pk=key.pk,
        state="ok",
        cost_units=int(Decimal(dollars) / COST_UNIT),
        input_tokens=tokens,
    )


def test_a_key_without_a_budget_has_none():
    key, _ = ClientKey.issue("team")
    assert budgets_of(key, NOON) == []


def test_a_budget_tells_what_was_used_of_it_and_when_it_begins_anew():
    key, _ = ClientKey.issue("team", spend_budget=Decimal(10), token_budget=1000, budget_period="day")
    used(key, "2.5", 900)
    spend, tokens = budgets_of(key, NOON)
    assert (spend.used, spend.share) == (Decimal("2.5"), 0.25)
    assert (tokens.used, tokens.share) == (900, 0.9)
    assert spend.period.end == datetime(2026, 8, 9, tzinfo=UTC)


def test_a_budget_of_nothing_is_used_up():
    key, _ = ClientKey.issue("team", spend_budget=Decimal(0))
    assert budgets_of(key, NOON)[0].share == 1.0


def test_a_rotated_key_has_used_what_was_used_before_it():
    first, _ = ClientKey.issue("team", spend_budget=Decimal(10), budget_period="day")
    used(first, "2.5")
    second, _ = first.rotate(timedelta(0))
    third, _ = second.rotate(timedelta(0))
    used(second, "1")
    other, _ = ClientKey.issue("others")
    used(other, "9")
    assert [budgets_of(key, NOON)[0].used for key in (first, second, third)] == [Decimal("3.5")] * 3


def spent_by(user, now=None):
    return spent(Subject(PERSON, user.pk), Period.at("month", now or time.time()))


def test_what_a_key_used_stays_with_who_owned_it_then():
    ada, bob = (get_user_model().objects.create_user(name) for name in ("ada", "bob"))
    key, _ = ClientKey.issue("shared", user=ada)
    today = int(time.time()) // 86400 * 24

    def uses(dollars, tokens):
        DailyTotal.objects.create(
            hour=today, endpoint="messages", client_key_pk=key.pk, state=f"{dollars}", provider="p",
            cost_units=int(dollars / COST_UNIT), input_tokens=tokens,
        )  # fmt: skip

    def give(user):
        key.user = user
        key.save()

    uses(2, 20)
    give(bob)
    assert spent_by(ada) == {"spend": 2 * BILLION, "tokens": 20}
    assert spent_by(bob) == {"spend": 0, "tokens": 0}
    uses(3, 30)
    # by whatever way it is written
    ClientKey.objects.update(user=None)
    assert spent_by(bob) == {"spend": 3 * BILLION, "tokens": 30}
    uses(5, 50)
    key.refresh_from_db()
    give(ada)
    uses(7, 70)
    assert spent_by(ada) == {"spend": 9 * BILLION, "tokens": 90}
    assert spent_by(bob) == {"spend": 3 * BILLION, "tokens": 30}
    # the key's own budget goes on
    assert spent(Subject("key", key.pk), Period.at("month", time.time()))["tokens"] == 170
