"""Time ranges in addresses, in the reader's zone."""

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.ui.time_range import NAMED, time_range

NOW = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)


def days(token, zone="UTC"):
    with timezone.override(zoneinfo.ZoneInfo(zone)):
        found = time_range(token, NOW)
    return [end and end.astimezone(UTC).strftime("%m-%d %H:%M") for end in (found.since, found.until)]


@pytest.mark.parametrize(
    ("token", "zone", "ends"),
    [
        ("1h", "UTC", ["11-30 22:30", None]),
        ("today", "UTC", ["11-30 00:00", None]),
        ("today", "Asia/Shanghai", ["11-30 16:00", None]),
        ("yesterday", "UTC", ["11-29 00:00", "11-30 00:00"]),
        ("month", "UTC", ["11-01 00:00", None]),
        ("month", "Asia/Shanghai", ["11-30 16:00", None]),
        ("last-month", "UTC", ["10-01 00:00", "11-01 00:00"]),
        ("2026-11-01..2026-11-02", "UTC", ["11-01 00:00", "11-03 00:00"]),
        ("2026-11-01T09:00..", "Europe/Berlin", ["11-01 08:00", None]),
        ("2026-11-01T09:00Z..2026-11-01T10:30Z", "Europe/Berlin", ["11-01 09:00", "11-01 10:30"]),
        ("..2026-11-02", "UTC", [None, "11-03 00:00"]),
    ],
)
def test_a_range_has_the_ends_that_its_reader_means(token, zone, ends):
    assert days(token, zone) == ends


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "..",
        "a..b",
        "2026-13-01..",
        "2026-11-02..2026-11-01",
        "1e9..",
        "2026-11-01",
    ],
)
def test_what_is_no_range_is_none(token):
    assert time_range(token, NOW) is None


@pytest.mark.parametrize(
    ("token", "ends"),
    [
        ("0001-01-01..", ["1970", None]),
        ("..9999-12-31", [None, "9000"]),
        ("0900-01-01..2026-11-30", ["1970", "2026"]),
        ("9999-12-31T23:59-23:00..", ["9000", None]),
        ("..0001-01-01T00:00+14:00", [None, "1969"]),
    ],
)
def test_years_in_which_nothing_is_counted_are_the_nearest_that_are(token, ends):
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        with timezone.override(zoneinfo.ZoneInfo(zone)):
            since, until = time_range(token, NOW).bounds(NOW)
            # as long a span before it has a date, too
            assert since - (until - since) <= since <= until <= NOW
    found = time_range(token, NOW)
    assert [end and f"{end.astimezone(UTC):%Y}" for end in (found.since, found.until)] == ends


@given(st.text(max_size=60))
def test_any_text_is_a_range_or_none(text):
    found = time_range(text, NOW)
    assert found is None or found.token == text


def test_bounds_never_reach_into_the_future():
    for token in NAMED:
        since, until = time_range(token, NOW).bounds(NOW)
        assert since < until <= NOW and until - since <= timedelta(days=62)


@pytest.mark.parametrize("token", ["15m", "1h", "24h"])
@pytest.mark.parametrize(
    "now", [datetime(2027, 3, 28, 1, 10, tzinfo=UTC), datetime(2026, 10, 25, 1, 10, tzinfo=UTC)]
)
def test_a_rolling_range_has_its_length_across_a_clock_change(token, now):
    lengths = {"15m": timedelta(minutes=15), "1h": timedelta(hours=1), "24h": timedelta(hours=24)}
    with timezone.override(zoneinfo.ZoneInfo("Europe/Berlin")):
        assert now - time_range(token, now).since.astimezone(UTC) == lengths[token]
