"""When an upstream wants to be asked again (docs/conversion.md, "When to ask again")."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
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
_NUMBER: Final = r"\d{1,15}+(?:\.\d{1,15}+)?"
_DURATION_PART: Final = patterns.compiled(rf"({_NUMBER})(ms|us|µs|ns|d|h|m|s)")
_DURATION: Final = patterns.match_at(rf"(?:{_NUMBER}(?:ms|us|µs|ns|d|h|m|s))++\Z")
# the longer names first
_WORD: Final = r"milliseconds?|msecs?|ms|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|s|m|h|d"
_WORD_UNITS: Final = (
    ("mil", 0.001), ("ms", 0.001), ("w", 604800.0), ("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0),
)  # fmt: skip
# what stands before a pause, or before the time when it ends
_ASKED: Final = patterns.compiled(
    r"(?:(?:try|tried) again|retry(?:ing)?|wait(?: for)?|resets?|available again|reset (?:time|after))"
    r"[:,]? ?(?:(?:in|after|at|on|for|again|about|approximately|another|at least|is) ){0,3}",
    patterns.IGNORECASE,
)
_AMOUNT: Final = patterns.match_at(rf"({_NUMBER}) ?({_WORD})?(?![\w:-])[,.]?(?: and)? ?", patterns.IGNORECASE)
_DATE: Final = patterns.match_at(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d{1,9})? ?(Z|UTC|GMT|[+-]\d\d:?\d\d)?",
    patterns.IGNORECASE,
)
_CHINESE: Final = patterns.compiled(r"(?<!\d)(\d{1,9}+) ?(秒|分|小时|天)钟?(?:之|以)?后")
_CHINESE_UNITS: Final = {"秒": 1.0, "分": 60.0, "小时": 3600.0, "天": 86400.0}
_RESETS: Final = ("requests", "tokens", "requests-day", "requests-minute", "tokens-minute", "tokens-day",
                  "input-tokens", "output-tokens")  # fmt: skip
# fields of a body that tell a pause in seconds, compared in lower case without separators
_FIELDS: Final = {
    "retryafter": 1.0, "retryafterseconds": 1.0, "retryafterms": 0.001, "retrydelay": 1.0,
    "retryinseconds": 1.0, "resetsinseconds": 1.0, "resetafter": 1.0, "waitseconds": 1.0,
    "secondsuntilreset": 1.0, "resetseconds": 1.0,
}  # fmt: skip
_INSTANTS: Final = frozenset({"resetsat", "resetat", "xratelimitreset", "ratelimitreset", "resettime"})
_LONGEST: Final = 10 * 365 * 86400
# a plain number from here on is a time since 1970, in seconds or in milliseconds
_SECONDS_SINCE: Final = 1e9
_MILLISECONDS_SINCE: Final = 1e11


def retry_after(
    headers: Mapping[str, str], error: object, text: str, *, ratelimit_prefix: str, now: float | None
) -> int | None:
    """Whole seconds, at least 1; None when the upstream does not say.

    `headers` with lower-case names, `error` the parsed body, `text` its message.
    `now` (seconds since 1970) turns a date into a number; without it the
    response's own date is used.
    """
    today = now if now is not None else _instant(headers.get("date", ""))
    seconds = _scaled(headers.get("retry-after-ms"), 0.001)
    if seconds is None:
        seconds = _of_header(headers.get("retry-after"), today)
    if seconds is None:
        seconds = _of_limits(headers, ratelimit_prefix.lower(), today)
    if seconds is None:
        seconds = _of_fields(error, today)
    if seconds is None:
        seconds = _of_text(text, today)
    return None if seconds is None else min(max(1, math.ceil(seconds - 1e-9)), _LONGEST)


def duration(text: str) -> float | None:
    """Seconds of `1s`, `6m0s`, `120ms`, `1h2m3.5s`, or of a plain number."""
    text = text.strip().lower()
    if not _DURATION(text):
        number = _scaled(text, 1.0)
        return number if number is not None and 0 <= number <= _LONGEST else None
    return sum(float(amount) * _UNITS[unit] for amount, unit in _DURATION_PART.findall(text))


def _scaled(value: str | None, unit: float) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number * unit if math.isfinite(number) else None


def _of_header(value: str | None, today: float | None) -> float | None:
    if value is None:
        return None
    number = _scaled(value, 1.0)
    if number is not None:
        return _from_now(number, today)
    at = _instant(value)
    if at is None:
        return duration(value)
    return 1.0 if today is None else at - today


def _instant(text: str) -> float | None:
    """Seconds since 1970 of a date, as in mails or by ISO 8601; without a zone it is UTC."""
    iso = _DATE(text.strip())
    if iso is not None:
        zone = (iso[3] or "Z").upper()
        zone = "+00:00" if zone in ("Z", "UTC", "GMT") else zone
        try:
            return datetime.fromisoformat(f"{iso[1]}T{iso[2]}{zone}").timestamp()
        except ValueError:
            return None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    # without a zone it would be taken for the time of this machine
    return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()


def _from_now(number: float, today: float | None) -> float | None:
    """A number of seconds, or what is left until a time since 1970."""
    if number >= _MILLISECONDS_SINCE:
        number /= 1000
    if number < _SECONDS_SINCE:
        return number
    return None if today is None else number - today


def _until(value: Any, today: float | None) -> float | None:
    """Seconds until what a reset says: a duration, a number or a date."""
    if isinstance(value, str):
        pause = _scaled(value, 1.0)
        if pause is None:
            at = _instant(value)
            return duration(value) if at is None else None if today is None else at - today
        value = pause
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        return None
    return _from_now(float(value), today)


def _of_limits(headers: Mapping[str, str], prefix: str, today: float | None) -> float | None:
    """The reset of a limit of which nothing is left."""
    names = [(f"{prefix}remaining-{limit}", f"{prefix}reset-{limit}") for limit in _RESETS]
    names += [(f"{start}remaining", f"{start}reset") for start in (prefix, "ratelimit-")]
    resets = [
        _until(headers.get(reset, ""), today)
        for remaining, reset in names
        if headers.get(remaining, "").strip() in ("0", "0.0")
    ]
    return max((reset for reset in resets if reset is not None), default=None)


def _of_fields(error: Any, today: float | None) -> float | None:
    """A field that names a pause or a reset, wherever it sits: Google's RetryInfo, OpenRouter's headers."""
    for value in _values(error, 6):
        if not isinstance(value, dict):
            continue
        for name, told in value.items():
            plain = name.lower().replace("-", "").replace("_", "")
            seconds = None
            if plain in _FIELDS:
                seconds = _until(told, today)
                if seconds is not None and not (isinstance(told, str) and duration(told) is None):
                    seconds *= _FIELDS[plain]
            elif plain in _INSTANTS:
                seconds = _until(told, today)
            if seconds is not None:
                return seconds
    return None


def _values(value: Any, depth: int) -> Iterable[Any]:
    yield value
    if depth and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _values(item, depth - 1)


def _of_text(text: str, today: float | None) -> float | None:
    """A pause in words, such as "try again in 1 hour 5 minutes", or the time when it is over."""
    for found in _ASKED.finditer(text):
        at = found.end()
        until = _DATE(text, at)
        if until is not None:
            instant = _instant(until.group())
            return None if instant is None or today is None else instant - today
        seconds = _in_words(text, at)
        if seconds is not None:
            return seconds
    chinese = _CHINESE.search(text)
    return None if chinese is None else float(chinese[1]) * _CHINESE_UNITS[chinese[2]]


def _in_words(text: str, at: int) -> float | None:
    compact = text[at : at + 40].split(None, 1)
    exact = compact[0].rstrip(".,;)") if compact else ""
    if _DURATION(exact.lower()):
        return duration(exact)
    total = None
    for _ in range(4):
        part = _AMOUNT(text, at)
        if part is None or (part[2] is None and total is not None):
            break
        if part[2] is None and text[part.end(1) :].lstrip(" ")[:1].isalpha():
            # 5 of something else
            break
        unit = (part[2] or "s").lower()
        size = next(size for begins, size in _WORD_UNITS if unit.startswith(begins))
        total = (total or 0.0) + float(part[1]) * size
        at = part.end()
        if part[2] is None:
            break
    return total
