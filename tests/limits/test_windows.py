from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.windows import DAY, MONTH, WEEK, Minute, Period, whole_seconds


def at(*moment: int) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp()


def test_a_third_into_a_minute_two_thirds_of_the_last_one_count():
    minute = Minute.at(at(2026, 8, 8, 12, 0, 20))
    assert minute.used(this=5, last=30) == 25


def test_the_wait_is_until_the_last_minute_has_faded_enough():
    minute = Minute.at(at(2026, 8, 8, 12, 0, 20))
    # 5 + 30 * (1 - t/60) <= 20 at t = 30
    assert round(minute.wait(this=5, last=30, limit=20), 6) == 10


def test_the_wait_reaches_into_the_next_minute_when_this_one_is_too_full():
    minute = Minute.at(at(2026, 8, 8, 12, 0, 20))
    # in the next minute 40 * (1 - t/60) <= 20 at t = 30
    assert round(minute.wait(this=40, last=0, limit=20), 6) == 40 + 30


@given(
    now=st.floats(min_value=0, max_value=4e9),
    this=st.integers(0, 10_000),
    last=st.integers(0, 10_000),
    limit=st.integers(0, 10_000),
)
def test_after_the_wait_the_limit_holds(now, this, last, limit):
    minute = Minute.at(now)
    wait = minute.wait(this, last, limit)
    later = minute.elapsed + wait
    used = this + last * (1 - later / 60) if later <= 60 else this * (1 - (later - 60) / 60)
    assert used <= limit + 1e-6 * max(this, last, 1)
    assert 0 <= wait <= 120


def test_a_day_is_that_of_utc():
    day = Period.at(DAY, at(2026, 8, 8, 23, 59, 59))
    assert (day.start, day.end) == (datetime(2026, 8, 8, tzinfo=UTC), datetime(2026, 8, 9, tzinfo=UTC))


def test_a_week_begins_on_monday():
    week = Period.at(WEEK, at(2026, 8, 9, 12))
    assert (week.start, week.end) == (datetime(2026, 8, 3, tzinfo=UTC), datetime(2026, 8, 10, tzinfo=UTC))


def test_a_month_ends_where_the_next_begins():
    month = Period.at(MONTH, at(2026, 12, 31, 12))
    assert (month.start, month.end) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def test_retry_after_is_whole_seconds_and_never_none():
    assert [whole_seconds(seconds, most=60) for seconds in (0, 0.2, 1.2, 90)] == [1, 1, 2, 60]
