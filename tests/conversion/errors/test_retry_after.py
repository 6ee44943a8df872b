"""When an upstream wants to be asked again (docs/conversion.md, "When to ask again")."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.errors.delays import LONGEST, delay_of
from gateway.conversion.errors.retry_after import retry_after
from gateway.conversion.errors.upstream import upstream_error

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


def seconds(headers=None, error=None, text="", prefix="x-ratelimit-", now=None):
    return retry_after(headers or {}, error, [text], ratelimit_prefix=prefix, now=now)


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
    assert delay_of(text, None) == expected


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
    assert told is None or 1 <= told <= LONGEST


# --- one delay, however it is told -----------------------------------------------------------------

NOW = 1792567680.0  # 2026-10-21 07:28:00 UTC


def told(*, headers=None, body=None, text="", limited=True):
    return retry_after(headers or {}, body, [text], ratelimit_prefix="", now=NOW, limited=limited)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rate limit resets at 1792567740", 60),
        ("Claude AI usage limit reached|1792571280", 3600),
        ("resets in 3d 4h", 273_600),
        ("You've hit your usage limit. Try again in 4 days 2 hours 31 minutes.", 354_660),
        ("Your quota will reset after 27h41m36s.", 99_696),
        ("Retry-After: 60", 60),
        ('{"retry_after": 60', 60),
        ("Next request available in 15 seconds", 15),
        ("Your next available request is in 15 seconds.", 15),
        ("Try again in an hour", 3600),
        ("try your request again in one minute", 60),
        ("Come back in 3h 47m", 13_620),
        ("Cooldown: 45s", 45),
        ("reset in 00:05:00", 300),
        ("please wait PT1M30S", 90),
        ("wait 1,500 seconds", 1500),
        ("Try again at 08:28 UTC", 3600),
        ("resets 8:28am (UTC)", 3600),
        ("Your limit resets on Oct 22 at 7:28 AM", 86_400),
        ("try again at Oct 22nd, 2026 9:28 AM GMT+2", 86_400),
        ("resets Wed, 21 Oct 2026 08:28:00 GMT", 3600),
        ("resets at 2026-10-21 15:28:00.25 +0700 WIB", 3600),
        ("resets at 2026-10-21 01:28:00 PDT", 3600),
        ("resets at 2026/10/21 16:28:00 (UTC+8)", 3600),
        ("Usage limit reached for 5 hour. Your limit will reset at 2026-10-21 16:28:00", 3600),
        ("Weekly Limit Exhausted. Your limit will reset at 2026-10-23 15:28:00", 172_800),
        ("已达到 5 小时的使用上限。您的限额将在 2026-10-21 16:28:00 重置。", 3600),
        ("将于2026年10月21日 16时28分00秒恢复", 3600),
        ("请在 1 小时 30 分钟后重试", 5400),
        ("请等待30秒", 30),
        # what is no delay, or cannot be known
        ("resets 3pm", None),
        ("resets at 2026-10-21 16:28:00 CST", None),
        ("resets at 2026-10-21 16:28:00 (America/New_York)", None),
        ("resets at midnight Pacific Time", None),
        ("resets at 5", None),
        ("retry 2 of 5", None),
        ("retrying (3/5)", None),
        ("try again in 1 month", None),
        ("try again in 3 attempts", None),
        ("wait 5% longer", None),
        ("connection reset after 30 seconds", None),
        ("limit 5 per 60 seconds", None),
        ("resets every 60 seconds", None),
        ("retry after 99999999", None),
        ("retry after 3000 days", None),
        ("resets at 2199-01-01 00:00", None),
        ("resets at 2026-13-45 99:99", None),
        ("已达到 5 小时的使用上限", None),
        ("请稍后重试", None),
    ],
)  # fmt: skip
def test_a_delay_in_a_sentence(text, expected):
    assert told(text=text) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "60 seconds"}, 60),
        ({"retry-after": "2 minutes"}, 120),
        ({"retry-after": "120, 120"}, 120),
        ({"retry-after": "999999999"}, None),
        ({"retry-after": "999999999", "ratelimit-reset": "30"}, 30),
        ({"retry-after": "Wednesday, 21-Oct-26 07:29:00 GMT"}, 60),
        ({"x-retry-after": "20"}, 20),
        ({"x-ms-retry-after-ms": "2500"}, 3),
        ({"x-ratelimit-reset": "1792567740"}, 60),
        ({"x-ratelimit-reset-requests": "30s"}, 30),
        ({"x-ratelimit-reset-after": "30"}, 30),
        ({"x-ratelimit-reset-after": "30", "x-ratelimit-remaining": "4"}, None),
        ({"x-ratelimit-reset-requests": "30s", "x-ratelimit-reset-tokens": "6h"}, None),
        ({"anthropic-ratelimit-requests-remaining": "0",
          "anthropic-ratelimit-requests-reset": "2026-10-21T07:29:00Z"}, 60),
        ({"ratelimit": '"minute";r=178;t=44, "hour";r=0;t=1724'}, 1724),
        ({"ratelimit": '"minute";r=178;t=44'}, None),
        ({"ratelimit": "limit=100, remaining=0, reset=50"}, 50),
        ({"ratelimit-policy": '"hour";q=1000;w=3600'}, None),
    ],
)  # fmt: skip
def test_a_delay_in_a_header(headers, expected):
    assert told(headers=headers) == expected


def test_a_lone_reset_says_nothing_of_an_overload():
    assert told(headers={"x-ratelimit-reset": "86400"}, limited=False) is None
    assert told(headers={"x-ratelimit-reset": "9", "x-ratelimit-remaining": "0"}, limited=False) == 9


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"details": [{"metadata": {"quotaResetDelay": "27h41m36s"}}]}}, 99_696),
        ({"error": {"quotaResetTimeStamp": "2026-10-21T07:29:00Z"}}, 60),
        ({"error": {"details": [{"retryDelay": {"seconds": 36, "nanos": 500_000_000}}]}}, 37),
        ({"error": {"details": [{"retryDelay": {"seconds": "36"}}]}}, 36),
        ({"error": {"metadata": {"raw": '{"error":{"retry_after":12}}'}}}, 12),
        ({"error": {"cooldown_seconds": 12}}, 12),
        ({"error": {"time_left": "12s"}}, 12),
        ({"error": {"retry_after_minutes": 2}}, 120),
        ({"error": {"resets_at": "soon", "retry_after": 9}}, 9),
        ({"error": {"retry_after": 9e18}}, None),
        ({"error": {"resets_at": 17_925_677_400_000_000}}, None),
        ({"error": {"seconds": 12, "wait": 30, "retry": 3, "limit_reset": "daily"}}, None),
        ({"detail": [{"input": {"retry_after": 3600}}]}, None),
        ({"error": {"retry_after": {"seconds": "many"}}}, None),
    ],
)
def test_a_delay_in_a_field(body, expected):
    assert told(body=body) == expected


def test_a_users_echoed_words_are_no_delay():
    said = 'Slow down. You wrote: "please try again in 5 hours or so".'
    error = upstream_error(
        429, {}, json.dumps({"error": {"message": said}}).encode(),
        model="m", context_window=None, estimated_tokens=9, now=NOW,
    )  # fmt: skip
    assert error.retry_after is None


UNITS = [("d", "day", 86400), ("h", "hour", 3600), ("m", "minute", 60), ("s", "second", 1)]


@st.composite
def durations(draw):
    """(a duration in words, its seconds)"""
    amounts = draw(st.lists(st.integers(0, 23), min_size=4, max_size=4).filter(any))
    short, space, comma = (
        draw(st.booleans()),
        draw(st.sampled_from(["", " "])),
        draw(st.sampled_from(["", ","])),
    )
    parts = [
        f"{amount}{space}{brief}" if short else f"{amount} {name}{'s' * (amount != 1)}"
        for amount, (brief, name, _) in zip(amounts, UNITS, strict=True)
        if amount
    ]
    between = draw(st.sampled_from([" ", ""])) if short else f"{comma} "
    return between.join(parts), sum(n * unit[2] for n, unit in zip(amounts, UNITS, strict=True))


@given(
    durations(),
    st.sampled_from(["Please try again in {}.", "Limit resets in {}", "retry after {}, thanks", "wait {}",
                     "Retry-After: {}", "available again in {}"]),
)  # fmt: skip
def test_a_duration_is_the_same_wherever_it_stands(duration, sentence):
    words, seconds = duration
    assert told(text=sentence.format(words)) == seconds
    assert told(headers={"retry-after": words}) == seconds
    assert told(body={"error": {"retryDelay": words}}) == seconds


@given(
    st.integers(1, 30 * 86400),
    st.integers(-12, 14),
    st.sampled_from(
        ["%Y-%m-%dT%H:%M:%S{}", "%Y-%m-%d %H:%M:%S {}", "%d %b %Y %H:%M:%S {}", "%b %d, %Y %I:%M:%S %p {}"]
    ),
)
def test_a_time_with_its_zone_is_the_same_wherever_it_stands(seconds, hours, form):
    zone = timezone(timedelta(hours=hours))
    sign = "+" if hours >= 0 else "-"
    words = datetime.fromtimestamp(NOW + seconds, zone).strftime(form.format(f"{sign}{abs(hours):02}:00"))
    assert told(text=f"Your limit resets at {words}.") == seconds
    assert told(headers={"retry-after": words}) == seconds
    assert told(body={"error": {"resets_at": words}}) == seconds


@given(st.text(alphabet="0123456789 .:,-+/TZdhmsPMAU天小时分秒后年月日", max_size=40), st.text(max_size=9))
def test_whatever_is_told_the_pause_is_bounded(words, more):
    pauses = [
        told(text=f"resets at {words}{more}"),
        told(text=f"retry after {words}重置"),
        told(headers={"retry-after": words, "ratelimit": words}),
        told(body={"resets_at": words}),
    ]
    for pause in pauses:
        assert pause is None or 1 <= pause <= LONGEST
