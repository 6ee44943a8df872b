"""When an upstream wants to be asked again (docs/conversion.md, "When to ask again")."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from gateway import patterns
from gateway.conversion.errors.delays import (
    CHINA,
    LONGEST,
    SINCE_1970,
    WORLD,
    believed,
    chinese_delays,
    delay_at,
    delay_of,
    instant_of,
)
from gateway.conversion.errors.error_body import ECHO_FIELDS
from gateway.wire import jsontext

# The name of a field or a header that tells a delay, in lower case without separators; its unit is the
# second unless the name says otherwise.
_DELAY_FIELD: Final = patterns.match_at(
    r"(?:x|ms){0,2}(?:anthropic|google|openai)?(?:quota|usage|limit|ratelimit|next|suggested|min|minimum)?"
    r"(?:retry(?:after|delay|in|at|wait|time|on)|resets?(?:after|in|delay|at|on|time|timestamp|date)"
    r"|(?:ratelimit|quota)reset|cooldown|time(?:left|remaining|toreset|untilreset)|until(?:reset|retry)"
    r"|wait(?:time|for)|(?P<measured>wait|reset)|(?:seconds|secs)(?:until|to|before)(?:reset|retry))"
    r"(?:in)?(?P<unit>ms|millis(?:econds)?|milliseconds|s|secs?|seconds?|mins?|minutes?|hours?)?\Z"
)
_NAMED_UNITS: Final = (("mil", 0.001), ("ms", 0.001), ("m", 60.0), ("h", 3600.0))
# an input that is repeated has no delay of the provider's
_NO_DELAYS: Final = ECHO_FIELDS - {"headers", "param", "body"}
_DEPTH: Final = 7
_MOST_JSON: Final = 20_000

# what stands before a delay
_ASKED: Final = patterns.compiled(
    r"(?<![A-Za-z])(?:"
    r"tr(?:y|ied|ying) (?:[a-z]{1,10} ){0,3}again|retry(?:ing)?(?: (?:your |the |this )?(?:request|it))?"
    r"|wait(?: time| period)?|(?<!connection )resets?|come back|(?:next )?available(?: again| request)?"
    r"|cool(?:ing)?[ -]?down(?: period)?|next (?:request|attempt)"
    r"|(?:restored|refreshed|renewed|replenished|lifted|unblocked|unlocked|refills|refreshes|renews)"
    r"|usage limit reached(?=\|))"
    r"(?P<link>(?:[ _(-]{0,2}(?:in|after|at|on|for|until|till|again|about|around|approximately|another"
    r"|at least|is|be|will be|delay|time|automatically)\b){0,5}[\"'`]?[:=,|]{0,2}[ (]{0,2}[\"'`]?)",
    patterns.IGNORECASE,
)
_AT: Final = patterns.compiled(r"\b(?:at|on|until|till|time)\b|\|", patterns.IGNORECASE)
_LINKED: Final = patterns.compiled(
    r"[:=|]|\b(?:in|after|at|on|until|till|for|another)\b", patterns.IGNORECASE
)
# Zhipu's sentence in English, with the time of Beijing
_ZHIPU: Final = patterns.compiled(r"your limit will reset at \d", patterns.IGNORECASE)
_HOURS: Final = patterns.compiled(r"(?<!\d)(\d{1,3})[ -]?(?:hours?|小时|个小时)", patterns.IGNORECASE)
_MINUTE: Final = 60.0

_ITEM: Final = patterns.compiled(r"\b(r|t|remaining|reset)=\"?(\d{1,15}(?:\.\d{1,9})?)")
_LIMIT_NAMES: Final = ("ratelimit", "rate-limit")


def retry_after(
    headers: Mapping[str, str], error: object, texts: Iterable[str], *, ratelimit_prefix: str,
    now: float | None, limited: bool = True,
) -> int | None:  # fmt: skip
    """Whole seconds, from 1 to LONGEST; None when the upstream does not say.

    `headers` with lower-case names, `error` the parsed body, `texts` what it says, the likeliest first.
    `now` (seconds since 1970) turns a time into a delay; without it the response's own date is used.
    `limited`: the upstream refused because of a limit, so a lone reset is that limit's.
    """
    today = now if now is not None else instant_of(headers.get("date", ""))
    seconds = next(_delays(headers, error, texts, ratelimit_prefix.lower(), today, limited), None)
    return None if seconds is None else min(max(1, math.ceil(seconds - 1e-6)), LONGEST)


def _delays(
    headers: Mapping[str, str], error: object, texts: Iterable[str], prefix: str, today: float | None,
    limited: bool,
) -> Iterator[float]:  # fmt: skip
    """Each delay that is told, the likeliest first."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if name in headers:
            yield from _of_header(headers[name], unit, today)
    yield from _of_limits(headers, prefix, today, limited)
    yield from _of_fields({name: value for name, value in headers.items() if "retry" in name}, today)
    yield from _of_fields(error, today)
    for text in texts:
        yield from _of_text(text, today)


def _of_header(value: str, unit: float, today: float | None) -> Iterator[float]:
    # a header that was sent twice
    repeated = value.split(",")
    told = max(repeated, key=_size) if all(map(_size, repeated)) else value
    if _size(told) < 0:
        yield 0.0
        return
    pause = believed(_size(told) * unit) if unit != 1.0 and _size(told) else delay_of(told, today)
    if pause is not None:
        yield pause
    elif today is None and instant_of(value) is not None:
        yield 0.0


def _size(value: str) -> float:
    """A text's number; 0.0 when it is none."""
    try:
        number = float(value)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _of_limits(
    headers: Mapping[str, str], prefix: str, today: float | None, limited: bool
) -> Iterator[float]:
    """The reset of a limit of which nothing is left, or of the only one that is told."""
    spent: list[float] = []
    unknown: list[float] = []
    for left, reset in (*_pairs(headers, prefix), *_items(headers.get("ratelimit", ""))):
        pause = delay_of(reset, today)
        if pause is None:
            continue
        if left is None:
            unknown.append(pause)
        elif left.strip() and left.strip("0. ") == "":
            spent.append(pause)
    if spent:
        yield max(spent)
    elif limited and len(unknown) == 1:
        yield unknown[0]


def _pairs(headers: Mapping[str, str], prefix: str) -> Iterator[tuple[str | None, str]]:
    """What is left of each limit, and its reset, told by two headers that differ in one word."""
    for name, reset in headers.items():
        of_limit = (prefix and name.startswith(prefix)) or any(part in name for part in _LIMIT_NAMES)
        if of_limit and "reset" in name:
            yield headers.get(name.removesuffix("-after").replace("reset", "remaining")), reset


def _items(header: str) -> Iterator[tuple[str | None, str]]:
    """The same of one header for all limits: `"hour";r=0;t=1724`, or `limit=9, remaining=0, reset=50`."""
    for policy in [header] if "reset=" in header else header.split(","):
        told = dict(_ITEM.findall(policy))
        reset = told.get("t", told.get("reset"))
        if reset is not None:
            yield told.get("r", told.get("remaining")), reset


def _of_fields(error: Any, today: float | None) -> Iterator[float]:
    """Fields that name a delay or a reset, wherever they sit: Google's RetryInfo, OpenRouter's headers."""
    for name, told in _fields(error, _DEPTH):
        field = _DELAY_FIELD(name.lower().replace("-", "").replace("_", ""))
        if field is None:
            continue
        unit = field["unit"]
        if field["measured"] and unit is None and not isinstance(told, str):
            continue
        size = next((size for begins, size in _NAMED_UNITS if unit and unit.startswith(begins)), 1.0)
        if size != 1.0 and type(told) in (int, float, str) and 0 < (number := _size(str(told))) < SINCE_1970:
            pause = believed(number * size)
        else:
            pause = delay_of(told, today)
        if pause is not None:
            yield pause


def _fields(value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Every field of a body but those that repeat an input; of JSON inside a text too."""
    if isinstance(value, str) and len(value) <= _MOST_JSON and value.lstrip()[:1] in ("{", "["):
        try:
            value = jsontext.loads(value)
        except (jsontext.InvalidJSON, UnicodeEncodeError):
            return
    if not depth:
        return
    if isinstance(value, list):
        for item in value:
            yield from _fields(item, depth - 1)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name.lower() not in _NO_DELAYS:
                yield name, inner
                yield from _fields(inner, depth - 1)


def _of_text(text: str, today: float | None) -> Iterator[float]:
    """A delay in words, such as "try again in 1 hour 5 minutes", or the time when it is over."""
    zones = CHINA if _ZHIPU.search(text) else WORLD
    hours = _HOURS.search(text)
    within = LONGEST if hours is None else int(hours[1]) * 3600 + _MINUTE
    for found in _ASKED.finditer(text):
        link = found["link"]
        # "resets at 5" and "retry 2" are no delays, "retry after 60" is one
        least = SINCE_1970 if _AT.search(link) else 0.0 if _LINKED.search(link) else math.inf
        pause = delay_at(text, found.end(), today, zones=zones, within=within, least_number=least)
        if pause is not None:
            yield pause
    yield from chinese_delays(text, today, within)
