"""When an upstream wants to be asked again (specification section 7.1)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from gateway import patterns

_UNITS: Final = {
    "d": 86400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 0.001,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
}
_DURATION_PART: Final = patterns.compiled(r"(\d{1,15}+(?:\.\d{1,15}+)?)(ms|us|µs|ns|d|h|m|s)")
_DURATION: Final = patterns.match_at(r"(?:\d{1,15}+(?:\.\d{1,15}+)?(?:ms|us|µs|ns|d|h|m|s))++\Z")
_TRY_AGAIN: Final = patterns.compiled(
    r"(?:try again|retry) (?:in|after) (?:about )?"
    r"((?:\d{1,15}(?:\.\d{1,15})?(?:h|m|s|ms))+\b|\d{1,15}(?:\.\d{1,15})?)(?:\s*+(milliseconds?|seconds?|secs?|minutes?|mins?))?",
    patterns.IGNORECASE,
)
_LONGEST: Final = 10 * 365 * 86400


def retry_after(
    headers: Mapping[str, str], error: Any, text: str, *, ratelimit_prefix: str, now: float | None
) -> int | None:
    """Whole seconds, at least 1; None when the upstream does not say.

    `headers` with lower-case names, `error` the parsed body, `text` its message.
    `now` (seconds since 1970) turns a date into a number; without it the
    response's own date is used.
    """
    sources = (
        _scaled(headers.get("retry-after-ms"), 0.001),
        _of_header(headers, now),
        _of_limits(headers, ratelimit_prefix.lower()),
        _of_details(error),
        _of_text(text),
    )
    seconds = next((value for value in sources if value is not None), None)
    return None if seconds is None else min(max(1, math.ceil(seconds - 1e-9)), _LONGEST)


def _scaled(value: str | None, unit: float) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number * unit if math.isfinite(number) else None


def _of_header(headers: Mapping[str, str], now: float | None) -> float | None:
    value = headers.get("retry-after")
    if value is None:
        return None
    number = _scaled(value, 1.0)
    if number is not None:
        return number
    at = _instant(value)
    today = now if now is not None else _instant(headers.get("date", ""))
    if at is None:
        return None
    return 1.0 if today is None else at - today


def _instant(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


def _of_limits(headers: Mapping[str, str], prefix: str) -> float | None:
    """The reset of a limit of which nothing is left."""
    resets = [
        duration(headers.get(f"{prefix}reset-{limit}", ""))
        for limit in ("requests", "tokens")
        if headers.get(f"{prefix}remaining-{limit}", "").strip() in ("0", "0.0")
    ]
    return max((reset for reset in resets if reset is not None), default=None)


def _of_details(error: Any) -> float | None:
    """Google's RetryInfo, wherever it sits in the body."""
    for value in _values(error, 6):
        if isinstance(value, dict) and isinstance(delay := value.get("retryDelay"), str):
            return duration(delay)
    return None


def _values(value: Any, depth: int) -> Iterable[Any]:
    yield value
    if depth and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _values(item, depth - 1)


def _of_text(text: str) -> float | None:
    found = _TRY_AGAIN.search(text)
    if found is None:
        return None
    amount = duration(found[1])
    unit = (found[2] or "s").lower()
    return (
        None
        if amount is None
        else amount * (0.001 if unit.startswith("mil") else 60 if unit[0] == "m" else 1)
    )


def duration(text: str) -> float | None:
    """Seconds of `1s`, `6m0s`, `120ms`, `1h2m3.5s`, or of a plain number."""
    text = text.strip().lower()
    if not _DURATION(text):
        number = _scaled(text, 1.0)
        return number if number is not None and 0 <= number <= _LONGEST else None
    return sum(float(amount) * _UNITS[unit] for amount, unit in _DURATION_PART.findall(text))
