"""What decides whether a request may come in (pure): its need, the meters of its key, the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

from gateway.errors import GatewayError, InvalidRequest, TooManyRequests
from gateway.limits.windows import ADVERBS, DAY_SECONDS, MINUTE, Minute, Period, whole_seconds
from gateway.routing.snapshot import KeyEntry, KeyLimits

# Claude Code gives up at once when it is told to wait longer
# (docs/client-behaviour.md, "Errors and retries").
LONGEST_RETRY_AFTER: Final = 60
# Seconds after which some of the answers under way have surely ended.
RETRY_WHEN_RESERVED: Final = 10
REQUESTS: Final = "requests"
INPUT: Final = "input tokens"
OUTPUT: Final = "output tokens"
RUNNING: Final = "running"
SPEND: Final = "spend"
TOKENS: Final = "tokens"
# kind of a Subject
PERSON: Final = "user"
# Far above any real request: a provider's absurd number must not overflow a counter.
MOST: Final = 10**15
_HEADER_NAMES: Final = {REQUESTS: "requests", INPUT: "input-tokens", OUTPUT: "output-tokens"}


class Subject(NamedTuple):
    """Whose limits they are. `kind` "key": a client key with all that it was rotated from and to;
    PERSON: somebody with all keys and sign-ins."""

    kind: str
    id: int

    @classmethod
    def of(cls, key: KeyEntry) -> Subject:
        return cls("key", key.lineage or key.id)

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Need:
    """What one request takes: before its answer what it may, in the end what it did.

    `input_tokens` and `output_tokens` count against rates: input without what comes from a cache,
    output as much as an answer usually has. `tokens` and `cost` count against budgets: the most that the
    request may take. `cost` in billionths of a US dollar, None when the price is unknown.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    tokens: int = 0
    cost: int | None = 0

    def amount(self, unit: str) -> int:
        """How much it is in one unit: 0 to MOST, whatever a provider says."""
        if unit in (REQUESTS, RUNNING):
            return 1
        if unit == INPUT:
            amount = self.input_tokens
        elif unit == OUTPUT:
            amount = self.output_tokens
        elif unit == SPEND:
            amount = self.cost or 0
        else:
            amount = self.tokens
        return min(MOST, max(0, amount))


class CounterStanding(NamedTuple):
    """How a counter stands. `used`: for good; `held`: by requests under way. `reconciled`: when it was
    last compared with the history, in Unix milliseconds; 0 = never."""

    used: int = 0
    held: int = 0
    reconciled: int = 0


@dataclass(frozen=True, slots=True)
class Meter:
    """One limit of a subject at one moment. `counter` is its name in the store; `lasts` until when (Unix).

    `window`: the minute of a rate, the period of a budget; None for requests at the same time.
    """

    subject: Subject
    unit: str
    limit: int
    counter: str
    lasts: int
    window: Minute | Period | None
    # of the minute before, for a limit per minute
    faded: str = ""

    @property
    def is_rate(self) -> bool:
        return isinstance(self.window, Minute)

    def later(self, now: float) -> Meter:
        """The same limit per minute in the minute of `now`."""
        return _per_minute(self.subject, self.unit, self.limit, Minute.at(now))

    def held(self, need: Need) -> int:
        """What a request holds while it runs: at most half of a budget, so that a small one lets two run."""
        amount = need.amount(self.unit)
        return min(amount, self.limit // 2) if isinstance(self.window, Period) else amount


class BudgetShare(NamedTuple):
    """How full a budget is: a `share` of 1.0 and more is used up. `used` and `limit` in the meter's unit."""

    share: float
    period: Period
    unit: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class LimitVerdict:
    """`refusal` None: admitted. `headers` go onto the answer either way. `by`: the meter that refused.
    `budget`: the fullest one, or of several that are used up the one that resets last."""

    refusal: GatewayError | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    by: Meter | None = None
    budget: BudgetShare | None = None


def meters_of(
    limits: KeyLimits, subject: Subject, now: float, *, free: bool = False, account: str = ""
) -> tuple[Meter, ...]:
    """The counters that decide about a request of `subject` at `now` (Unix seconds).

    `free`: it uses no tokens, so only the numbers of requests count. `account` is part of the names of the
    counters of budgets.
    """
    minute = Minute.at(now)
    meters: list[Meter] = []
    for unit, per_minute in (
        (REQUESTS, limits.requests_per_minute),
        (INPUT, None if free else limits.input_tokens_per_minute),
        (OUTPUT, None if free else limits.output_tokens_per_minute),
    ):
        if per_minute is not None:
            meters.append(_per_minute(subject, unit, per_minute, minute))
    for unit, budget in ((SPEND, limits.spend_budget), (TOKENS, limits.token_budget)):
        if budget is not None and not free:
            period = Period.at(limits.budget_period, now)
            counter = f"{subject}:{unit}:{period.kind}:{period.start:%Y%m%d}{account}"
            meters.append(Meter(subject, unit, budget, counter, period.ends, period))
    if limits.concurrent_requests is not None:
        lasts = int(now) + DAY_SECONDS
        meters.append(Meter(subject, RUNNING, limits.concurrent_requests, f"{subject}:running", lasts, None))
    return tuple(meters)


def meters_of_key(key: KeyEntry, now: float, *, free: bool = False) -> tuple[Meter, ...]:
    """All that decide about a request with this key: its own, and those of its person."""
    own = () if key.limits is None else meters_of(key.limits, Subject.of(key), now, free=free)
    if key.person is None or key.person.limits is None or key.owner_id is None:
        return own
    person = Subject(PERSON, key.owner_id)
    return (*own, *meters_of(key.person.limits, person, now, free=free, account=key.person.account))


def _per_minute(subject: Subject, unit: str, limit: int, minute: Minute) -> Meter:
    stem = f"{subject}:{unit[:3]}:"
    counter, faded = f"{stem}{minute.number}", f"{stem}{minute.number - 1}"
    return Meter(subject, unit, limit, counter, minute.ends + MINUTE, minute, faded)


def judged(
    meters: Sequence[Meter], standings: Mapping[str, CounterStanding], need: Need, now: float
) -> LimitVerdict:
    """The verdict on a request that needs `need`, by what stood before it."""
    refusal, by = None, None
    for meter in meters:
        refusal = _refused(meter, standings, need)
        if refusal is not None:
            by = meter
            break
    headers = _headers(meters, standings, need if refusal is None else None, now)
    if refusal is not None:
        refusal.extra_headers = {**refusal.extra_headers, **headers}
    return LimitVerdict(refusal, headers, by, fullest(meters, standings))


def fullest(meters: Iterable[Meter], standings: Mapping[str, CounterStanding]) -> BudgetShare | None:
    """The budget that a person is told of: the fullest; of several used up, the one that resets last."""
    found: BudgetShare | None = None
    for meter in meters:
        if isinstance(meter.window, Period):
            used = standings.get(meter.counter, CounterStanding()).used
            share = used / meter.limit if meter.limit else 1.0
            budget = BudgetShare(share, meter.window, meter.unit, used, meter.limit)
            if found is None or _goes_before(budget, found):
                found = budget
    return found


def _goes_before(one: BudgetShare, other: BudgetShare) -> bool:
    if one.share >= 1 and other.share >= 1:
        return one.period.end > other.period.end
    return one.share > other.share


def _refused(meter: Meter, standings: Mapping[str, CounterStanding], need: Need) -> GatewayError | None:
    stands = standings.get(meter.counter, CounterStanding())
    if isinstance(meter.window, Period):
        return _over_budget(meter, meter.window, stands)
    if meter.window is None:
        if stands.held < meter.limit:
            return None
        return TooManyRequests(
            f"This request would exceed your limit of {meter.limit} concurrent requests", retry_after=1
        )
    last, mine = standings.get(meter.faded, CounterStanding()).used, need.amount(meter.unit)
    if meter.unit == INPUT and mine > meter.limit:
        # in the words of the API, on which clients shorten their conversation
        return InvalidRequest(
            f"prompt is too long: {mine} tokens > {meter.limit} maximum "
            f"(all that {'you' if meter.subject.kind == PERSON else 'your API key'} may send in a minute)"
        )
    # an answer's length is not known before: it may begin while something is left
    room = meter.limit - 1 + mine if meter.unit == OUTPUT else meter.limit
    if meter.window.used(stands.used + mine, last) <= room:
        return None
    wait = meter.window.wait(stands.used + mine, last, room)
    return TooManyRequests(
        f"This request would exceed your rate limit of {meter.limit:,} {meter.unit} per minute",
        retry_after=whole_seconds(wait, most=LONGEST_RETRY_AFTER),
    )


def _over_budget(meter: Meter, period: Period, stands: CounterStanding) -> TooManyRequests | None:
    if stands.used + stands.held < meter.limit:
        # a request may begin while something is left
        return None
    if stands.used < meter.limit:
        return TooManyRequests(
            "What is left of your budget is held by requests that are still under way; "
            "try again when they have ended",
            retry_after=RETRY_WHEN_RESERVED,
        )
    which = f"{ADVERBS[period.kind]}{' tokens' if meter.unit == TOKENS else ''}"
    # Claude Code knows a spend cap by these words (docs/conversion.md, "Decisions")
    return TooManyRequests(
        f"spend limit reached ({which}; resets {period.end:%Y-%m-%d %H:%M} UTC)", should_retry=False
    )


def _headers(
    meters: Iterable[Meter], standings: Mapping[str, CounterStanding], need: Need | None, now: float
) -> dict[str, str]:
    """What is left of each rate, after `need` when it was admitted; of a key's and its person's the less."""
    left_of: dict[str, tuple[int, int, str]] = {}
    for meter in meters:
        if not isinstance(meter.window, Minute):
            continue
        this, last = (standings.get(name, CounterStanding()).used for name in (meter.counter, meter.faded))
        used = meter.window.used(this + (need.amount(meter.unit) if need else 0), last)
        left = max(0, meter.limit - round(used))
        reset = f"{datetime.fromtimestamp(meter.window.ends, UTC):%Y-%m-%dT%H:%M:%SZ}"
        # the API's own combined value is that of the tighter limit
        for name in (_HEADER_NAMES[meter.unit], *([] if meter.unit == REQUESTS else ["tokens"])):
            rate = (left, meter.limit, reset)
            left_of[name] = min(rate, left_of.get(name, rate))
    headers: dict[str, str] = {}
    for name, (left, limit, reset) in left_of.items():
        headers |= _header(name, limit, left, reset)
    return headers


def _header(name: str, limit: int, left: int, reset: str) -> dict[str, str]:
    stem = f"anthropic-ratelimit-{name}-"
    return {f"{stem}limit": str(limit), f"{stem}remaining": str(left), f"{stem}reset": reset}
