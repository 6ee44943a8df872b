"""A delay as providers write it: a duration, a date, a time of day, a time since 1970.

Headers, fields of a body and sentences share this reader, so a form that is known in one place is known in
all of them. What cannot be read, or is longer than LONGEST, is None: a wrong pause is worse than none.

A time without a zone is UTC. Zhipu writes Beijing time without saying so (`CHINA`); such a time is read in
the first zone in which it lies ahead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from gateway import patterns

# seconds; the longest quotas are those of a month
LONGEST: Final = 35 * 86400
# zones to read a time in that names none, as seconds ahead of UTC
WORLD: Final = (0.0,)
CHINA: Final = (8 * 3600.0, 0.0)

_DAY: Final = 86400.0
_FARTHEST_ZONE: Final = 14 * 3600.0
# a plain number from here on is a time since 1970, in seconds; a thousand times as much, in smaller units
SINCE_1970: Final = 1e9
_SMALLER_UNITS: Final = 1e11
# clocks differ: a time that passed so long ago is now
_JUST_PASSED: Final = 3600.0

_NUMBER: Final = r"(?:\d{1,3}+(?:,\d{3}){1,3}+(?![\d,])|\d{1,19}+)(?:\.\d{1,15}+)?"
_WORDS: Final = {
    "a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0,
    "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0, "half an": 0.5, "half a": 0.5,
}  # fmt: skip
_UNIT: Final = (
    r"milliseconds?|millis|msecs?|ms|microseconds?|us|µs|nanoseconds?|ns|seconds?|secs?|s|minutes?|mins?|m"
    r"|hours?|hrs?|h|days?|d|weeks?|w"
)
_UNITS: Final = (
    ("mil", 0.001), ("ms", 0.001), ("mic", 1e-6), ("us", 1e-6), ("µs", 1e-6), ("n", 1e-9),
    ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", _DAY), ("w", 7 * _DAY),
)  # fmt: skip
_PART: Final = patterns.match_at(
    rf"({_NUMBER}|half an?|an?|one|two|three|four|five|six|seven|eight|nine|ten) ?-?({_UNIT})"
    r"(?![A-Za-z])[,.]?(?: and| &)? ?",
    patterns.IGNORECASE,
)
_PLAIN: Final = patterns.match_at(rf"({_NUMBER})(?![\w:/%+-])(?![,.]\d)(?! ?[^\W\d_])(?! ?%)")
_CLOCK_DURATION: Final = patterns.match_at(r"(\d{1,3}):([0-5]\d):([0-5]\d(?:\.\d{1,9})?)(?![\d:])")
_ISO_DURATION: Final = patterns.match_at(
    r"P(?=[\dT])(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?(?!\w)"
)

_TIME: Final = r"(\d{1,2})(?::(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?)? ?([ap]\.?m\b\.?)?"
_MONTH: Final = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_OPTIONAL_TIME: Final = rf"(?:,? at|,)? ?(?:{_TIME})?"
_WEEKDAY: Final = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},? )?"
_DATE: Final = patterns.match_at(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:(?:T|,? at |, ?| )?"
    r"(\d{1,2})[:：时点](\d\d)(?:[:：分](\d\d)(?:[.,]\d{1,9})?)?秒?(?: ?([ap]\.?m\b\.?))?)?",
    patterns.IGNORECASE,
)
_MONTH_FIRST: Final = patterns.match_at(
    rf"{_WEEKDAY}{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?(?![\d:])(?:,? (\d{{4}})(?!\d))?{_OPTIONAL_TIME}",
    patterns.IGNORECASE,
)
_DAY_FIRST: Final = patterns.match_at(
    rf"{_WEEKDAY}(\d{{1,2}})(?:st|nd|rd|th)?[ -]{_MONTH}(?:,?[ -](\d{{4}}|(?<=-)\d\d)(?!\d))?"
    rf"{_OPTIONAL_TIME}",
    patterns.IGNORECASE,
)
_TIME_OF_DAY: Final = patterns.match_at(_TIME, patterns.IGNORECASE)
_MIDNIGHT: Final = patterns.match_at(r"midnight\b", patterns.IGNORECASE)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_OFFSET: Final = patterns.match_at(
    r" ?\(?(?:(?:UTC|GMT) ?)?([+-])(\d{1,2})(?::?(\d\d))?(?![\d:])", patterns.IGNORECASE
)
_ABBREVIATION: Final = patterns.match_at(r" ?\(?(Z|UTC|[A-Z]{1,4}T|Etc/UTC)(?![A-Za-z/])")
_LOWER_ABBREVIATION: Final = patterns.match_at(r" ?\(?(z|utc|gmt)(?![A-Za-z/])")
_OTHER_ZONE: Final = patterns.match_at(
    r" ?\(?(?:[A-Za-z_]{2,20}/[A-Za-z_]{2,30}|Pacific|Eastern|Central|Mountain|local time|[A-Z]{2,4}T\b)"
)
# hours ahead of UTC; what means several zones (CST, IST, BST) is left out
_ZONES: Final = {
    "z": 0, "utc": 0, "etc/utc": 0, "gmt": 0, "est": -5, "edt": -4, "cdt": -5, "mst": -7, "mdt": -6,
    "pst": -8, "pdt": -7, "jst": 9, "kst": 9, "bjt": 8, "hkt": 8, "sgt": 8, "cet": 1, "cest": 2,
    "eet": 2, "eest": 3, "wet": 0, "west": 1,
}  # fmt: skip


class _Moment(NamedTuple):
    """A time on a clock: `seconds` as if it showed UTC, `offset` what it is ahead of UTC (None: not told)."""

    seconds: float
    offset: float | None


def delay_of(value: object, today: float | None) -> float | None:
    """Seconds that a header or a field tells; None when it is none, negative or beyond LONGEST.

    `value`: a number, a text, or protobuf's Duration as an object. `today` (seconds since 1970) turns a time
    into a delay; one that has passed is 0.
    """
    if isinstance(value, dict):
        parts = (_number(value.get("seconds")), _number(value.get("nanos", 0)))
        if parts[0] is None or parts[1] is None:
            return None
        return believed(parts[0] + parts[1] * 1e-9)
    number = _number(value)
    if number is not None:
        return _from_now(number, today)
    if not isinstance(value, str):
        return None
    text = value.strip(" \t\r\n\"'")
    found = delay_at(text[:80], 0, today)
    if found is not None:
        return found
    at = instant_of(text)
    return None if at is None or today is None else _until(at, today)


def delay_at(
    text: str, at: int, today: float | None, *, zones: Sequence[float] = WORLD, within: float = LONGEST,
    least_number: float = 0.0,
) -> float | None:  # fmt: skip
    """Seconds that a text tells at a place; None when it tells none there.

    `zones`: in which a time without a zone is read; the first in which it lies ahead and `within` so many
    seconds. `least_number`: a smaller one without a unit is no delay.
    """
    moment = _dated(text, at, today) or _of_day(text, at, today)
    if moment is not None:
        return None if today is None else _of_moment(moment, today, zones, within)
    for read in (_clock_duration, _iso_duration, _duration):
        seconds = read(text, at)
        if seconds is not None:
            return believed(seconds)
    plain = _PLAIN(text, at)
    if plain is None:
        return None
    number = float(plain[1].replace(",", ""))
    return None if number < least_number else _from_now(number, today)


def instant_of(text: str) -> float | None:
    """Seconds since 1970 of a date as in mails, HTTP or ISO 8601; UTC when it names no zone."""
    text = text.strip()
    moment = _dated(text, 0, None)
    if moment is not None:
        return moment.seconds - (moment.offset or 0.0)
    try:
        date = parsedate_to_datetime(text)
        # without a zone it would be taken for the time of this machine
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def believed(seconds: float) -> float | None:
    """The delay, or None when no provider can mean it."""
    return seconds if 0 <= seconds <= LONGEST else None


def _number(value: Any) -> float | None:
    if type(value) not in (int, float, str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _from_now(number: float, today: float | None) -> float | None:
    """A number of seconds, or what is left until a time since 1970."""
    while number >= _SMALLER_UNITS:
        number /= 1000
    if number < SINCE_1970:
        return believed(number)
    return None if today is None else _until(number, today)


def _until(instant: float, today: float) -> float | None:
    return believed(max(0.0, instant - today))


# --- durations -----------------------------------------------------------------------------------


def _duration(text: str, at: int) -> float | None:
    """`1h2m3.5s`, `3d 4h`, `1 hour, 5 minutes`, `an hour`; the units become smaller."""
    total, last = None, math.inf
    while (part := _PART(text, at)) is not None:
        unit = part[2].lower()
        size = next(size for begins, size in _UNITS if unit.startswith(begins))
        if size >= last:
            break
        word = " ".join(part[1].lower().split())
        amount = _WORDS[word] if word in _WORDS else float(word.replace(",", ""))
        total, last, at = (total or 0.0) + amount * size, size, part.end()
    return total


def _clock_duration(text: str, at: int) -> float | None:
    """`00:05:00`"""
    found = _CLOCK_DURATION(text, at)
    return None if found is None else int(found[1]) * 3600.0 + int(found[2]) * 60 + float(found[3])


def _iso_duration(text: str, at: int) -> float | None:
    """`PT1M30S`"""
    found = _ISO_DURATION(text, at)
    if found is None:
        return None
    sizes = zip(found.groups(), (_DAY, 3600.0, 60.0, 1.0), strict=True)
    return sum(float(amount) * size for amount, size in sizes if amount)


# --- times ---------------------------------------------------------------------------------------


def _of_moment(moment: _Moment, today: float, zones: Sequence[float], within: float) -> float | None:
    if moment.offset is not None:
        return _until(moment.seconds - moment.offset, today)
    pauses = [moment.seconds - zone - today for zone in zones]
    likely = (pause for pause in pauses if -_JUST_PASSED <= pause <= within)
    return believed(max(0.0, next(likely, pauses[-1])))


def _dated(text: str, at: int, today: float | None) -> _Moment | None:
    """A date with or without a time. Without a year it is the next such date; that needs `today`."""
    found = _DATE(text, at)
    if found is not None:
        year, month, day, *clock = found.groups()
        return _moment(text, found.end(), [(int(year), int(month), int(day))], clock, today)
    found = _MONTH_FIRST(text, at)
    if found is not None:
        name, day, year, *clock = found.groups()
    else:
        found = _DAY_FIRST(text, at)
        if found is None:
            return None
        day, name, year, *clock = found.groups()
    month = _MONTHS.index(name[:3].lower()) + 1
    if year is None and today is None:
        return None
    this = datetime.fromtimestamp(today or 0.0, UTC).year
    # HTTP's older form has two digits
    years = [this, this + 1] if year is None else [int(year) + (2000 if len(year) == 2 else 0)]
    return _moment(text, found.end(), [(one, month, int(day)) for one in years], clock, today)


def _of_day(text: str, at: int, today: float | None) -> _Moment | None:
    """The next time of day; None when it names no zone, because then nobody knows when it is."""
    if today is None:
        return None
    found = _TIME_OF_DAY(text, at)
    midnight = _MIDNIGHT(text, at)
    if found is not None and (found[2] or found[4]):
        end, clock = found.end(), list(found.groups())
    elif midnight is not None:
        end, clock = midnight.end(), ["0", "00", None, None]
    else:
        return None
    offset = _offset_at(text, end)
    if offset is None or math.isnan(offset):
        return None
    start = math.floor((today + offset) / _DAY) * _DAY
    seconds = _clock(clock)
    if seconds is None:
        return None
    moment = start + seconds
    if moment - offset < today - 60:
        moment += _DAY
    return _Moment(moment, offset)


def _moment(
    text: str, end: int, days: list[tuple[int, int, int]], clock: Sequence[str | None], today: float | None
) -> _Moment | None:
    """The first of the days that is not over, with its time and zone."""
    seconds = _clock(clock)
    offset = _offset_at(text, end)
    if seconds is None or (offset is not None and math.isnan(offset)):
        return None
    found = None
    for day in days:
        try:
            found = datetime(*day, tzinfo=UTC).timestamp() + seconds
        except (ValueError, OverflowError):
            continue
        if today is None or found >= today - _DAY:
            break
    return None if found is None else _Moment(found, offset)


def _clock(groups: Sequence[str | None]) -> float | None:
    """Seconds since midnight of hour, minute, second and am or pm; 0 without an hour."""
    hour, minute, second, half = groups
    if hour is None or (minute is None and half is None):
        return 0.0
    hours = int(hour)
    if half is not None:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + (12 if half[0].lower() == "p" else 0)
    minutes, seconds = int(minute or 0), int(second or 0)
    return None if hours > 24 or minutes > 59 or seconds > 60 else hours * 3600.0 + minutes * 60 + seconds


def _offset_at(text: str, at: int) -> float | None:
    """Seconds ahead of UTC; None when no zone stands there, NaN when one does that is not known."""
    found = _OFFSET(text, at)
    if found is not None:
        seconds = int(found[2]) * 3600.0 + int(found[3] or 0) * 60
        if seconds > _FARTHEST_ZONE:
            return math.nan
        return -seconds if found[1] == "-" else seconds
    named = _ABBREVIATION(text, at) or _LOWER_ABBREVIATION(text, at)
    if named is not None:
        hours = _ZONES.get(named[1].lower())
        return math.nan if hours is None else hours * 3600.0
    return math.nan if _OTHER_ZONE(text, at) else None


# --- Chinese -------------------------------------------------------------------------------------

_CHINESE_PART: Final = patterns.compiled(r"(\d{1,9}+(?:\.\d{1,3}+)?) ?(毫秒|个?小时|分|秒|天|日)")
_CHINESE_PARTS: Final = r"(?:\d{1,9}+(?:\.\d{1,3}+)? ?(?:毫秒|个?小时|分钟?|秒钟?|天|日)[、，, ]?零?){1,4}"
_CHINESE_DELAY: Final = patterns.compiled(
    rf"(?<![\d.])(?:({_CHINESE_PARTS}) ?(?:之|以)?(?:后|再)"
    rf"|(?<=待|需|剩|余|等)({_CHINESE_PARTS}))|(?:等待|还需|剩余|还剩|请等)[^\d\n]{{1,6}}({_CHINESE_PARTS})"
)
_CHINESE_SIZES: Final = {"毫秒": 0.001, "秒": 1.0, "分": 60.0, "小时": 3600.0, "个小时": 3600.0}
_DATE_BEGINS: Final = patterns.compiled(r"(?<!\d)\d{4}[-/.年]\d{1,2}[-/.月]")
_ABOUT_RESET: Final = patterns.compiled(r"重置|恢复|刷新|重试|再试|解除|解封|可用|更新")
_NEAR: Final = 20


def chinese_delays(text: str, today: float | None, within: float) -> Iterator[float]:
    """The delays of a sentence in Chinese: `30 秒后重试`, `将在 2026-09-21 23:13:20 重置`."""
    if today is not None:
        for begins in _DATE_BEGINS.finditer(text):
            start = begins.start()
            if _ABOUT_RESET.search(text, max(0, start - _NEAR), start + 2 * _NEAR) is None:
                continue
            pause = delay_at(text, start, today, zones=CHINA, within=within)
            if pause is not None:
                yield pause
    for found in _CHINESE_DELAY.finditer(text):
        parts = _CHINESE_PART.findall(found[1] or found[2] or found[3])
        pause = believed(sum(float(amount) * _CHINESE_SIZES.get(unit, _DAY) for amount, unit in parts))
        if pause is not None:
            yield pause
