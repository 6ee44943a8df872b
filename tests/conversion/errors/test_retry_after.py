"""When an upstream wants to be asked again (section 7.1)."""

from __future__ import annotations

import pytest

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
