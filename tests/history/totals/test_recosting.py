"""Costs computed again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from gateway.history.record.rows import write
from gateway.history.totals import sessions
from gateway.history.totals.recosting import between, recompute
from gateway.models import HourlyTotal, RequestLog, SessionTotal
from gateway.models.history.hourly_total import COST_UNIT
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates
from tests.history.record.test_recorder import outcome

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DOLLAR = Price(Rates(Decimal(1), Decimal(1)), source="price 1")
BOOK = PriceBook((PriceRule(DOLLAR, "gpt-a"),), addresses={"main": "http://main"})


def rows(count, **fields):
    made = [
        RequestLog(
            **{
                "request_id": f"req_{number}", "started_at": NOON + number * HOUR, "state": "ok",
                "provider": "main", "upstream_model": "gpt-a", "attempts": 1, "input_tokens": 1_000_000,
                "output_tokens": 0, **fields,
            }
        )
        for number in range(count)
    ]  # fmt: skip
    return RequestLog.objects.bulk_create(made)


def costs():
    return list(RequestLog.objects.order_by("pk").values_list("cost", flat=True))


def test_every_row_of_every_batch_gets_the_cost_that_holds_now():
    rows(7, cost=Decimal(5), price_source="old")
    told = recompute(between(None, None), BOOK, batch=3)
    assert costs() == [1] * 7
    assert set(RequestLog.objects.values_list("price_source", flat=True)) == {"price 1"}
    assert (told.looked_at, told.changed, told.before, told.after) == (7, 7, 35, 7)


def test_a_second_run_changes_nothing():
    rows(2)
    recompute(between(None, None), BOOK)
    assert recompute(between(None, None), BOOK).changed == 0


def test_only_the_asked_time_and_model_are_touched():
    rows(4)
    recompute(between(NOON + HOUR, NOON + 3 * HOUR, model="GPT-*"), BOOK)
    assert costs() == [None, 1, 1, None]
    recompute(between(None, None, model="gpt-b"), BOOK)
    recompute(between(None, None, provider="other"), BOOK)
    assert costs() == [None, 1, 1, None]


def test_a_price_that_went_leaves_the_rows_unpriced():
    rows(1, upstream_model="gpt-b", cost=Decimal(5))
    told = recompute(between(None, None), BOOK)
    assert costs() == [None]
    assert told.unpriced == 1


def test_rows_of_a_provider_that_is_gone_keep_their_cost():
    rows(1, provider="gone", upstream_model="gpt-b", cost=Decimal(5))
    told = recompute(between(None, None), BOOK)
    assert costs() == [5]
    assert (told.kept, told.changed) == (1, 0)


def test_running_exchanges_are_left_alone():
    rows(1, state="open")
    assert recompute(between(None, None), BOOK).looked_at == 0


def test_the_hourly_totals_follow():
    write(
        [
            outcome(
                upstream_model="gpt-a", provider="main", attempts=1, input_tokens=1_000_000, output_tokens=0
            )
        ]
    )
    assert HourlyTotal.objects.get().unpriced == 1
    recompute(between(None, None), BOOK)
    total = HourlyTotal.objects.get()
    assert total.unpriced == 0
    assert total.cost_units * COST_UNIT == RequestLog.objects.get().cost > 0


def test_the_totals_of_a_session_follow_its_costs():
    rows(3, session_id="s", endpoint="messages", cost=None)
    sessions.work_out("s")
    recompute(between(None, None), BOOK, batch=2)
    assert SessionTotal.objects.get().cost == 3
