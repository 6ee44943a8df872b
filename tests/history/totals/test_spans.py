"""Which totals a span of hours is read from."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.history.record.rows import write
from gateway.history.totals import dashboard as totals
from gateway.history.totals.contributions import DAY, spans
from tests.history.record.test_recorder import outcome

START = 490_000


@given(st.integers(0, 200), st.integers(0, 200))
def test_every_hour_is_read_once_and_days_only_whole(start, length):
    first, behind = START + start, START + start + length
    read = []
    for table, since, before in spans("hourly", "daily", first, behind):
        assert since < before
        assert table == "hourly" or (since % DAY == 0 and before % DAY == 0)
        read += range(since, before)
    assert read == list(range(first, behind))


def test_who_needs_every_hour_reads_one_table_in_one_piece():
    assert spans("hourly", "hourly", START, START + 99) == [("hourly", START, START + 99)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("since", "hours"), [(10, 4), (-8, 24), (0, 24), (5, 24 * 3), (-30, 24 * 12 + 5), (-3, 24 * 410 + 7)]
)
def test_the_dashboard_counts_no_hour_outside_the_span(since, hours):
    midnight = datetime(2025, 3, 5, tzinfo=UTC)
    first = midnight + timedelta(hours=since)
    behind = first + timedelta(hours=hours)
    inside = [first, behind - timedelta(minutes=1)]
    late = [behind, behind + timedelta(hours=7), behind + timedelta(hours=20)]
    write([outcome(n, started_at=at, endpoint="messages") for n, at in enumerate([*inside, *late])])
    found = totals.dashboard(first, behind)
    assert found.whole.requests == len(inside)
    assert sum(line.numbers.requests for line in found.models) == len(inside)
    assert sum(point.numbers.requests for point in found.points) == len(inside)
    assert sum(point.numbers.requests for point in totals.points(first, behind)) == len(inside)
