"""The numbers of the dashboard, from the hourly totals, so that the number of requests does not matter.

A span of an hour or two is read from its requests, so that it can be shown by minutes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any, Final, NamedTuple

from django.db.models import F, Sum

from gateway.client_protocol.purpose import RequestClass
from gateway.conversion.repairs import REPAIR_KINDS, counted_under
from gateway.history.outcome import OK, OPEN
from gateway.history.totals.contributions import (
    DAY,
    FAILED,
    HOUR,
    Contribution,
    hour_of,
    slot_and_numbers,
    spans,
)
from gateway.models import ClientKey, DailyTotal, HourlyLedger, HourlyTotal, RequestLog
from gateway.models.history.hourly_total import BUCKETS, COST_UNIT, FIRST_BYTE_BOUNDS
from gateway.models.history.request_log import class_words

_WEEK: Final = 7 * DAY
# the first Monday, in hours since 1970
_MONDAY: Final = 4 * DAY
# (hours of the range, hours of a bar) from which that width is used
_BARS: Final = ((400 * DAY, _WEEK), (11 * DAY, DAY), (49, 6), (0, 1))
# ranges up to this length are read from the requests, with bars of minutes
_FINE: Final = timedelta(minutes=125)
_MOST_ROWS: Final = 100_000
MOST_LINES: Final = 12
_NUMBERS: Final = (
    "requests", "retries", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "cost_units", "unpriced", "duration_ms", "first_byte_ms", *BUCKETS,
)  # fmt: skip
_SUMS: Final = {f"sum_{name}": Sum(name) for name in _NUMBERS}
_FIRST_BUCKET: Final = len(_NUMBERS) - len(BUCKETS)


@dataclass(slots=True)
class ExchangeSums:
    """Sums over some exchanges. Cache tokens are beside the input, not part of it."""

    sums: list[int] = field(default_factory=lambda: [0] * len(_NUMBERS))
    failed: int = 0
    cancelled: int = 0
    # complete answers only: a failed one took time without giving tokens
    answered_tokens: int = 0
    answering_ms: int = 0

    def add(self, state: str, sums: Sequence[int]) -> None:
        for index, number in enumerate(sums):
            if number:
                self.sums[index] += number
        if state in FAILED:
            self.failed += sums[0]
        elif state == "cancelled":
            self.cancelled += sums[0]
        elif state == OK:
            self.answered_tokens += sums[3]
            self.answering_ms += sums[8] - sums[9]

    @property
    def requests(self) -> int:
        return self.sums[0]

    @property
    def retries(self) -> int:
        return self.sums[1]

    @property
    def input_tokens(self) -> int:
        """Everything that was sent, cache reads and writes included."""
        return self.sums[2] + self.sums[4] + self.sums[5]

    @property
    def output_tokens(self) -> int:
        return self.sums[3]

    @property
    def cached_share(self) -> float | None:
        """The share of the input that was read from a cache, 0 to 1."""
        return self.sums[4] / self.input_tokens if self.input_tokens else None

    @property
    def cost(self) -> Decimal:
        """US dollars."""
        return self.sums[6] * COST_UNIT

    @property
    def unpriced(self) -> int:
        return self.sums[7]

    @property
    def tokens_per_second(self) -> float | None:
        """Output tokens a second of complete answers, from their first byte on."""
        return 1000 * self.answered_tokens / self.answering_ms if self.answering_ms > 0 else None

    @property
    def first_bytes(self) -> Sequence[int]:
        """Answers by time to first byte: a number for each of FIRST_BYTE_BOUNDS, and one beyond them."""
        return self.sums[_FIRST_BUCKET:]

    @property
    def failed_share(self) -> float:
        return self.failed / self.requests if self.requests else 0.0

    @property
    def p50(self) -> float | None:
        """Half of the answers began within this many milliseconds."""
        return quantile(self.sums[_FIRST_BUCKET:], 0.5)

    @property
    def p95(self) -> float | None:
        return quantile(self.sums[_FIRST_BUCKET:], 0.95)


class DashboardLine(NamedTuple):
    """One model, provider or key, and its numbers. `key`: what a filter of the history takes."""

    key: str
    name: str
    numbers: ExchangeSums


class Point(NamedTuple):
    """One bar of a chart: when it begins, and its numbers."""

    at: datetime
    numbers: ExchangeSums


class ProviderPoints(NamedTuple):
    """The bars of one provider."""

    slug: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`since`: the start of what is counted; `each`: the length of a bar, a minute or whole hours."""

    since: datetime
    each: timedelta
    whole: ExchangeSums
    models: Sequence[DashboardLine]
    providers: Sequence[DashboardLine]
    keys: Sequence[DashboardLine]
    classes: Sequence[DashboardLine]
    points: Sequence[Point]
    health: Sequence[ProviderPoints]
    ledger: Sequence[tuple[str, int]]


def dashboard(since: datetime, until: datetime) -> Dashboard:
    """The numbers from `since` to `until`: by minutes of a span of two hours, else by whole hours."""
    if until - since <= _FINE:
        return _by_minutes(since, until)
    first, last, each = _bars(since, until)
    whole = ExchangeSums()
    models: dict[str, ExchangeSums] = {}
    providers: dict[str, ExchangeSums] = {}
    keys: dict[int, ExchangeSums] = {}
    classes: dict[str, ExchangeSums] = {}
    for upstream, provider, key, state, purpose, *sums in _grouped(first, last):
        whole.add(state, sums)
        # requests refused before a provider was chosen have no upstream model
        models.setdefault(upstream, ExchangeSums()).add(state, sums)
        providers.setdefault(provider, ExchangeSums()).add(state, sums)
        keys.setdefault(key, ExchangeSums()).add(state, sums)
        classes.setdefault(purpose or RequestClass.UNKNOWN, ExchangeSums()).add(state, sums)
    points, by_provider = _points(first, last, each)
    return Dashboard(
        since=_moment(first),
        each=timedelta(hours=each),
        whole=whole,
        models=_lines(models, str),
        providers=_lines(providers, str),
        keys=_lines(keys, _names_of(keys)),
        classes=_lines(classes, class_words),
        points=points,
        health=[
            ProviderPoints(line.name, by_provider.get(line.name, []))
            for line in _lines(providers, str)
            if line.name
        ],
        ledger=list(
            HourlyLedger.objects.order_by()
            .filter(hour__gte=first, hour__lte=last)
            .values_list("code")
            .annotate(number=Sum("entries"))
            .order_by("-number")
        ),
    )


def points(since: datetime, until: datetime) -> Sequence[Point]:
    """The bars of `dashboard` alone."""
    if until - since <= _FINE:
        return _by_minutes(since, until).points
    return _points(*_bars(since, until))[0]


def _bars(since: datetime, until: datetime) -> tuple[int, int, int]:
    """The first and the last hour of a span, and the hours of a bar."""
    first, last = hour_of(since), hour_of(until - timedelta(microseconds=1))
    each = next(each for hours, each in _BARS if last - first >= hours)
    if each == _WEEK:
        # a range may begin centuries before the first counted hour
        counted = DailyTotal.objects.order_by("hour").values_list("hour", flat=True).first()
        first = max(first, last if counted is None else min(counted, last))
    # whole bars; weeks begin on Monday
    first -= (first - _MONDAY) % each
    return first, last, each


def _by_minutes(since: datetime, until: datetime) -> Dashboard:
    """The same from the requests themselves: the newest of them, when there are very many."""
    since = since.replace(second=0, microsecond=0)
    whole = ExchangeSums()
    models: dict[str, ExchangeSums] = defaultdict(ExchangeSums)
    providers: dict[str, ExchangeSums] = defaultdict(ExchangeSums)
    keys: dict[int, ExchangeSums] = defaultdict(ExchangeSums)
    classes: dict[str, ExchangeSums] = defaultdict(ExchangeSums)
    minutes: dict[int, ExchangeSums] = defaultdict(ExchangeSums)
    by_provider: dict[str, dict[int, ExchangeSums]] = defaultdict(lambda: defaultdict(ExchangeSums))
    ledger: Counter[str] = Counter()
    rows = RequestLog.objects.filter(started_at__gte=since, started_at__lt=until, endpoint="messages")
    for values in rows.order_by("-started_at").values_list(*Contribution._fields)[:_MOST_ROWS]:
        facts = Contribution._make(values)
        if facts.state == OPEN:
            continue
        slot, numbers = slot_and_numbers(facts)
        sums = [numbers[HourlyTotal.NUMBERS.index(name)] for name in _NUMBERS]
        minute = int((facts.started_at - since).total_seconds()) // 60
        for one in (
            whole,
            models[slot.upstream_model],
            providers[slot.provider],
            keys[slot.client_key_pk],
            classes[slot.request_class or RequestClass.UNKNOWN],
            minutes[minute],
            by_provider[slot.provider][minute],
        ):
            one.add(slot.state, sums)
        ledger.update(counted_under(entry["code"], entry.get("note", "")) for entry in facts.ledger)
    count = max(1, ceil((until - since).total_seconds() / 60))

    def every(found: Mapping[int, ExchangeSums]) -> list[Point]:
        return [Point(since + timedelta(minutes=at), found.get(at) or ExchangeSums()) for at in range(count)]

    return Dashboard(
        since=since,
        each=timedelta(minutes=1),
        whole=whole,
        models=_lines(models, str),
        providers=_lines(providers, str),
        keys=_lines(keys, _names_of(keys)),
        classes=_lines(classes, class_words),
        points=every(minutes),
        health=[
            ProviderPoints(line.name, every(by_provider[line.name]))
            for line in _lines(providers, str)
            if line.name
        ],
        ledger=ledger.most_common(),
    )


def _names_of(keys: Iterable[int]) -> Callable[[int], str]:
    names = dict(ClientKey.objects.filter(pk__in=list(keys)).values_list("pk", "name"))
    return lambda key: names.get(key, f"#{key}") if key else ""


def repairs_of(provider: str, now: datetime) -> list[tuple[str, int]]:
    """Repairs of the answers of a provider (its slug) in the last 30 days: (kind, how many), most first."""
    first = hour_of(now - timedelta(days=30))
    counted = (
        HourlyLedger.objects.order_by()
        .filter(hour__gte=first, provider=provider, code__in=REPAIR_KINDS)
        .values_list("code")
        .annotate(number=Sum("entries"))
        .order_by("-number", "code")
    )
    return [(kind, number) for kind, number in counted if number > 0]


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Milliseconds within which `share` of the answers began, from counts per bucket; None without answers.

    Answers are assumed to be spread evenly within a bucket.
    """
    number = sum(counts)
    if not number:
        return None
    wanted, seen, lower = share * number, 0, 0
    for count, upper in zip(counts, FIRST_BYTE_BOUNDS, strict=False):
        if count and seen + count >= wanted:
            return lower + (upper - lower) * (wanted - seen) / count
        seen, lower = seen + count, upper
    return float(lower)


def recent(hours: int, now: datetime) -> dict[str, ExchangeSums]:
    """The numbers of each provider in the present hour and those before it."""
    last = int(now.timestamp()) // HOUR
    found: dict[str, ExchangeSums] = {}
    totals = HourlyTotal.objects.order_by().filter(hour__gte=last - hours, endpoint="messages")
    for provider, state, *sums in totals.values_list("provider", "state").annotate(**_SUMS):
        found.setdefault(provider, ExchangeSums()).add(state, sums)
    return found


def unpriced_models(hours: int, now: datetime) -> list[tuple[str, str, int]]:
    """(provider, upstream model, requests) of recent days without a price."""
    first = int(now.timestamp()) // HOUR - hours
    # by whole days: few rows, and slightly more than was asked for
    totals = DailyTotal.objects.order_by().filter(hour__gte=first - first % DAY, unpriced__gt=0, state="ok")
    sums = totals.values_list("provider", "upstream_model").annotate(number=Sum("unpriced"))
    return list(sums.order_by("-number"))


def _messages(since: int, before: int) -> dict[str, Any]:
    """The condition for the messages of the hours from `since` to before `before`."""
    return {"hour__gte": since, "hour__lt": before, "endpoint": "messages"}


def _grouped(first: int, last: int) -> Iterator[Any]:
    """Sums by model, provider, key and state."""
    for table, since, before in spans(HourlyTotal, DailyTotal, first, last + 1):
        totals = table._default_manager.order_by().filter(**_messages(since, before))
        yield from totals.values_list(
            "upstream_model", "provider", "client_key_pk", "state", "request_class"
        ).annotate(**_SUMS)


def _points(first: int, last: int, each: int) -> tuple[list[Point], dict[str, list[Point]]]:
    """The bars of all and of each provider, empty ones included."""
    whole: dict[int, ExchangeSums] = {}
    providers: dict[str, dict[int, ExchangeSums]] = {}
    bar_of = (F("hour") - first) / each
    daily = DailyTotal if each % DAY == 0 else HourlyTotal
    for table, since, before in spans(HourlyTotal, daily, first, last + 1):
        totals = table._default_manager.order_by().filter(**_messages(since, before))
        bars = totals.annotate(bar=bar_of).values_list("bar", "provider", "state").annotate(**_SUMS)
        for bar, provider, state, *sums in bars:
            whole.setdefault(int(bar), ExchangeSums()).add(state, sums)
            providers.setdefault(provider, {}).setdefault(int(bar), ExchangeSums()).add(state, sums)

    def every(found: dict[int, ExchangeSums]) -> list[Point]:
        return [
            Point(_moment(first + bar * each), found.get(bar, ExchangeSums()))
            for bar in range((last - first) // each + 1)
        ]

    return every(whole), {provider: every(found) for provider, found in providers.items()}


def _lines(found: dict[Any, ExchangeSums], name: Callable[[Any], str]) -> list[DashboardLine]:
    """The lines with the most requests."""
    used = (key for key in found if found[key].requests)
    most = sorted(used, key=lambda key: (-found[key].requests, str(key)))[:MOST_LINES]
    return [DashboardLine(str(key or "none"), name(key), found[key]) for key in most]


def _moment(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR, UTC)
