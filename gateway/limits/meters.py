"""What a key's limits mean for one request (pure): counters to charge, the verdict, the settlement.

    meters_of(limits, key, now)        which counters are looked at
    meter.charge(need)                 what a request takes from one before it is answered
    judged(meters, totals, now)        refuse or admit, and the rate-limit headers
    meter.charge(used) - charged       what is put right when the usage is known

A counter is a name and a number in a store that all processes share (stores.py). The
wording and headers are those of specification 1.4 and 7.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from gateway.errors import TooManyRequests
from gateway.limits.windows import ADVERBS, MINUTE, Minute, Period, whole_seconds
from gateway.routing.snapshot import KeyLimits

# Claude Code gives up at once when it is told to wait longer (specification 1.4).
LONGEST_RETRY_AFTER: Final = 60
REQUESTS: Final = "requests"
INPUT: Final = "input tokens"
OUTPUT: Final = "output tokens"
SPEND: Final = "spend"
TOKENS: Final = "tokens"
_HEADER_NAMES: Final = {REQUESTS: "requests", INPUT: "input-tokens", OUTPUT: "output-tokens"}


@dataclass(frozen=True, slots=True)
class Need:
    """What one request takes: first an estimate, in the end the truth.

    Tokens; `cost` in billionths of a US dollar, None when the price is unknown.
    `input_tokens` are those a provider works through, cached ones are apart, because they
    do not count against a rate.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: int | None = 0

    def amount(self, unit: str) -> int:
        """How much it is in one unit."""
        if unit == REQUESTS:
            return 1
        if unit == INPUT:
            return self.input_tokens
        if unit == OUTPUT:
            return self.output_tokens
        if unit == SPEND:
            return self.cost or 0
        return self.input_tokens + self.cached_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Meter:
    """One limit of one key at one moment. `counter` is its name in the store; `lasts` until when (Unix)."""

    unit: str
    limit: int
    counter: str
    lasts: int
    window: Minute | Period
    # of the minute before, for a limit per minute
    faded: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`refusal` None: admitted. `headers` go onto the answer either way."""

    refusal: TooManyRequests | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def meters_of(limits: KeyLimits, key_id: int, now: float) -> tuple[Meter, ...]:
    """The counters that decide about a request of key `key_id` at `now` (Unix seconds)."""
    minute = Minute.at(now)
    meters: list[Meter] = []
    for unit, per_minute in (
        (REQUESTS, limits.requests_per_minute),
        (INPUT, limits.input_tokens_per_minute),
        (OUTPUT, limits.output_tokens_per_minute),
    ):
        if per_minute is not None:
            stem = f"{key_id}:{unit[:3]}:"
            counter, faded = f"{stem}{minute.number}", f"{stem}{minute.number - 1}"
            meters.append(Meter(unit, per_minute, counter, minute.ends + MINUTE, minute, faded))
    for unit, budget in ((SPEND, limits.spend_budget), (TOKENS, limits.token_budget)):
        if budget is not None:
            period = Period.at(limits.budget_period, now)
            counter = f"{key_id}:{unit}:{period.kind}:{period.start:%Y%m%d}"
            meters.append(Meter(unit, budget, counter, period.ends, period))
    return tuple(meters)


def judged(meters: Sequence[Meter], totals: Mapping[str, int], need: Need, now: float) -> Verdict:
    """The verdict, from the counters' values with this request's `need` already in them."""
    refusal: TooManyRequests | None = None
    for meter in meters:
        refusal = refusal or _refused(meter, totals, need)
    headers = _headers(meters, totals, now)
    if refusal is not None:
        refusal.extra_headers = {**refusal.extra_headers, **headers}
    return Verdict(refusal, headers)


def too_many_at_once(limit: int) -> TooManyRequests:
    """Specification 7.2: too many concurrent requests of the key."""
    return TooManyRequests(
        f"This request would exceed your limit of {limit} concurrent requests", retry_after=1
    )


def _refused(meter: Meter, totals: Mapping[str, int], need: Need) -> TooManyRequests | None:
    total = totals.get(meter.counter, 0)
    if isinstance(meter.window, Period):
        # what a request will cost is not known; it may begin while something is left
        if total - need.amount(meter.unit) < meter.limit:
            return None
        which = f"{ADVERBS[meter.window.kind]}{' tokens' if meter.unit == TOKENS else ''}"
        # Claude Code knows a spend cap by these words (decision D20)
        return TooManyRequests(
            f"spend limit reached ({which}; resets {meter.window.end:%Y-%m-%d %H:%M} UTC)", should_retry=False
        )
    last = totals.get(meter.faded, 0)
    mine = need.amount(meter.unit)
    # an answer's length is not known before: it may begin while something is left
    room = meter.limit - 1 + mine if meter.unit == OUTPUT else meter.limit
    if meter.window.used(total, last) <= room:
        return None
    wait = meter.window.wait(total, last, room)
    return TooManyRequests(
        f"This request would exceed your rate limit of {meter.limit:,} {meter.unit} per minute",
        retry_after=whole_seconds(wait, most=LONGEST_RETRY_AFTER),
    )


def _headers(meters: Iterable[Meter], totals: Mapping[str, int], now: float) -> dict[str, str]:
    headers: dict[str, str] = {}
    tokens: list[tuple[int, int, str]] = []
    for meter in meters:
        if isinstance(meter.window, Period):
            continue
        used = meter.window.used(totals.get(meter.counter, 0), totals.get(meter.faded, 0))
        left = max(0, meter.limit - round(used))
        reset = f"{datetime.fromtimestamp(meter.window.ends, UTC):%Y-%m-%dT%H:%M:%SZ}"
        headers |= _header(_HEADER_NAMES[meter.unit], meter.limit, left, reset)
        if meter.unit != REQUESTS:
            tokens.append((left, meter.limit, reset))
    if tokens:
        # the API's own combined value: that of the tighter limit
        left, limit, reset = min(tokens)
        headers |= _header("tokens", limit, left, reset)
    return headers


def _header(name: str, limit: int, left: int, reset: str) -> dict[str, str]:
    stem = f"anthropic-ratelimit-{name}-"
    return {f"{stem}limit": str(limit), f"{stem}remaining": str(left), f"{stem}reset": reset}
