"""The dashboard's numbers come from the totals alone."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from gateway.history.record.rows import write
from gateway.history.totals import dashboard as totals
from gateway.history.totals.dashboard import quantile, recent, unpriced_models
from gateway.models import ClientKey, RequestLog
from gateway.models.history.hourly_total import BUCKETS, FIRST_BYTE_BOUNDS
from tests.history.record.test_recorder import NOON, outcome

NOW = NOON + timedelta(minutes=30)


LENGTHS = {"1h": 1, "24h": 24, "7d": 168, "30d": 720}


def dashboard(chosen, now):
    return totals.dashboard(now - timedelta(hours=LENGTHS[chosen]), now)


def buckets(values):
    counts = [0] * len(BUCKETS)
    for value in values:
        counts[
            next((n for n, bound in enumerate(FIRST_BYTE_BOUNDS) if value <= bound), len(FIRST_BYTE_BOUNDS))
        ] += 1
    return counts


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95]))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values, share):
    true = sorted(values)[max(0, -(-len(values) * int(share * 100) // 100) - 1)]
    bounds = (0, *FIRST_BYTE_BOUNDS)
    upper = next(bound for bound in FIRST_BYTE_BOUNDS if true <= bound)
    lower = bounds[bounds.index(upper) - 1]
    assert lower <= quantile(buckets(values), share) <= upper


def test_no_answers_have_no_quantile_and_very_late_ones_the_last_bound():
    assert quantile(buckets([]), 0.5) is None
    assert quantile(buckets([10**6]), 0.5) == 60_000


@pytest.mark.django_db(transaction=True)
class TestNumbers:
    def test_a_range_has_the_present_hour_and_those_before(self):
        write([outcome(n, started_at=NOON - timedelta(hours=n), endpoint="messages") for n in range(30)])
        assert {name: dashboard(name, NOW).whole.requests for name in LENGTHS} == {
            "1h": 1, "24h": 25, "7d": 30, "30d": 30,
        }  # fmt: skip

    def test_errors_are_what_the_client_did_not_get_and_no_cancellations(self):
        states = ["ok", "ok", "error", "broken", "interrupted", "cancelled"]
        write([outcome(n, state=state) for n, state in enumerate(states)])
        whole = dashboard("24h", NOW).whole
        assert (whole.requests, whole.failed, whole.cancelled) == (6, 3, 1)

    def test_counting_of_tokens_is_no_message(self):
        write([outcome(endpoint="count_tokens")])
        assert dashboard("24h", NOW).whole.requests == 0

    def test_models_providers_and_keys_are_told_apart_the_busy_ones_first(self):
        key, _ = ClientKey.issue("ada")
        write(
            [
                outcome(1, provider="p", upstream_model="u", client_key_id=key.pk),
                outcome(2, provider="p", upstream_model="u", client_key_id=9999),
                outcome(3, provider="q", upstream_model=""),
            ]
        )
        found = dashboard("24h", NOW)
        assert [(line.name, line.numbers.requests) for line in found.models] == [("u", 2), ("", 1)]
        assert [line.name for line in found.providers] == ["p", "q"]
        assert {line.name for line in found.keys} == {"ada", "#9999", ""}

    def test_bars_cover_the_range_without_gaps(self):
        write([outcome(started_at=NOON - timedelta(hours=5))])
        points = dashboard("24h", NOW).points
        assert [point.at for point in points] == [NOON - timedelta(hours=24 - n) for n in range(25)]
        assert [point.numbers.requests for point in points if point.numbers.requests] == [1]
        days = dashboard("30d", NOW).points
        assert (len(days), days[-1].at) == (31, datetime(2026, 1, 1, tzinfo=UTC))

    def test_years_have_a_bar_a_week_from_the_first_that_is_counted(self):
        first = NOON - timedelta(days=700)
        write([outcome(1, started_at=first), outcome(2, started_at=NOON), outcome(3, started_at=NOON)])
        found = totals.dashboard(NOON - timedelta(days=3000), NOW)
        assert found.each == timedelta(days=7) and found.since == found.points[0].at
        assert {point.at.weekday() for point in found.points} == {0}
        assert found.points[0].at <= first < found.points[1].at
        assert found.points[-1].at <= NOON < found.points[-1].at + found.each
        assert [point.numbers.requests for point in found.points if point.numbers.requests] == [1, 2]
        assert found.whole.requests == 3
        assert len(totals.points(NOON - timedelta(days=6000), NOON - timedelta(days=3000))) == 1

    def test_each_provider_has_its_own_bars_the_busy_one_first(self):
        write([outcome(n, provider="busy", started_at=NOON) for n in range(3)])
        write([outcome(7, provider="idle", state="error", started_at=NOON - timedelta(hours=2))])
        health = dashboard("24h", NOW).health
        assert [slug for slug, _points in health] == ["busy", "idle"]
        asked = [
            [
                (point.at, point.numbers.requests, point.numbers.failed)
                for point in points
                if point.numbers.requests
            ]
            for _slug, points in health
        ]
        assert asked == [[(NOON, 3, 0)], [(NOON - timedelta(hours=2), 1, 1)]]
        assert {len(points) for _slug, points in health} == {25}

    def test_the_rows_of_the_history_are_not_read(self):
        write([outcome(n) for n in range(5)])
        RequestLog.objects.all().delete()
        with CaptureQueriesContext(connection) as queries:
            assert dashboard("7d", NOW).whole.requests == 5
        assert not any("requestlog" in query["sql"] for query in queries)

    def test_what_was_asked_without_a_price_and_who_failed_lately(self):
        write(
            [
                outcome(1, provider="p", upstream_model="u", attempts=1),
                outcome(2, provider="p", state="error"),
            ]
        )
        assert unpriced_models(24, NOW) == [("p", "u", 1)]
        assert recent(1, NOW)["p"].failed_share == 0.5


@pytest.mark.django_db
def test_a_refused_request_has_no_model_of_a_provider():
    write([outcome(1, started_at=NOON, state="error", provider="", upstream_model="", asked_model="m")])
    assert [line.name for line in dashboard("24h", NOW).models] == [""]
