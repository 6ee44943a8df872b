"""When an upstream wants to be asked again (docs/conversion.md, "When to ask again")."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.errors.retry_after import duration, retry_after

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


def seconds(headers=None, error=None, text="", prefix="x-ratelimit-", now=None):
    return retry_after(headers or {}, error, text, ratelimit_prefix=prefix, now=now)


@pytest.mark.parametrize(
    "headers, expected",
    [
        ({"retry-after-ms": "1500"}, 2),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 2),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.2"}, 1),
        ({"retry-after": "0"}, 1),
        ({"retry-after": "-3"}, 1),
        ({"retry-after": "300"}, 300),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0"}, 1),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "3"}, None),
        (
            {
                "x-ratelimit-reset-requests": "120ms",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "0",
            },
            360,
        ),
    ],
)
def test_headers(headers, expected):
    assert seconds(headers) == expected


def test_a_date_needs_a_clock():
    assert seconds({"retry-after": DATE}, now=1792567680.0 - 90) == 90
    assert seconds({"retry-after": DATE, "date": "Wed, 21 Oct 2026 07:27:30 GMT"}) == 30
    assert seconds({"retry-after": DATE}) == 1
    assert seconds({"retry-after": DATE}, now=1892567680.0) == 1


def test_the_prefix_of_the_provider():
    headers = {"x-mine-reset-tokens": "2s", "x-mine-remaining-tokens": "0"}
    assert seconds(headers) is None
    assert seconds(headers, prefix="X-Mine-") == 2


def test_googles_retry_info():
    info = [
        {"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17.2s"}]}}
    ]
    assert seconds(error=info) == 18


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Please try again in 1.5s.", 2), ("try again in 6m0s", 360), ("try again in 120ms", 1),
        ("Try again in 20 seconds", 20), ("retry after 3 minutes", 180), ("Please retry in 7", 7),
        ("try again later", None), ("", None),
    ],
)  # fmt: skip
def test_words(text, expected):
    assert seconds(text=text) == expected


@pytest.mark.parametrize(
    "text, expected", [("1h2m3.5s", 3723.5), ("5", 5.0), ("x", None), ("", None), ("inf", None), ("-1", None)]
)
def test_durations(text, expected):
    assert duration(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Daily limit reached. Please try again in 2 hours.", 7200),
        ("Please try again in 1 hour 5 minutes.", 3900),
        ("try again in 1 day, 2 hours and 3 minutes", 93_780),
        ("Please wait 30 seconds before retrying", 30),
        ("please wait for 2 minutes", 120),
        ("Rate limit resets in 3 days", 259_200),
        ("retry after 1 week", 604_800),
        ("Please try again in 1h2m3.5s.", 3724),
        ("Retrying after 500 ms", 1),
        ("try again at 2026-10-21T07:29:00Z", 60),
        ("Limit resets at 2026-10-21 07:29:00 UTC", 60),
        ("resets at 2026-10-21T09:29:00+02:00", 60),
        ("try again in 2hrs", 7200),
        ("wait 5 tokens", None),
        ("wait until tomorrow", None),
    ],
)
def test_longer_words_and_times(text, expected):
    assert seconds(text=text, now=1792567680.0) == expected


@pytest.mark.parametrize(
    "error, expected",
    [
        ({"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1792567710000"}}}}, 30),
        ({"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1792567710"}}}}, 30),
        ({"error": {"retry_after": 12}}, 12),
        ({"error": {"retry_after_ms": 1500}}, 2),
        ({"error": {"resets_in_seconds": 90}}, 90),
        ({"error": {"resets_at": 1792567710}}, 30),
        ({"error": {"resets_at": "2026-10-21T07:29:00Z"}}, 60),
        ({"error": {"details": [{"retryDelay": "1h"}]}}, 3600),
        ({"retry_after": "soon"}, None),
        ({"retry_after": -1}, None),
        ({"retry_after": True}, None),
    ],
)
def test_fields_of_a_body(error, expected):
    assert seconds(error=error, now=1792567680.0) == expected


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_a_time_without_a_zone_is_not_the_machines(zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert seconds({"retry-after": "Wed, 21 Oct 2026 07:29:00 -0000"}, now=1792567680.0) == 60
        assert seconds(text="try again at 2026-10-21 07:29:00", now=1792567680.0) == 60
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text()), st.text())
def test_any_words_give_a_bounded_pause_or_none(headers, text):
    told = seconds(headers, text=f"try again in {text}", now=1792567680.0)
    assert told is None or 1 <= told <= 10 * 365 * 86400
