"""The numbers of the dashboard, from the hourly totals alone: the same cost for any number of requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db.models import F, Sum

from gateway.client_protocol.purpose import RequestClass
from gateway.history.totals.contributions import DAY, HOUR
from gateway.models import ClientKey, DailyTotal, HourlyLedger, HourlyTotal
from gateway.models.history.hourly_total import BUCKETS, COST_UNIT, FIRST_BYTE_BOUNDS
from gateway.models.history.request_log import class_words

FAILED: Final = frozenset({"error", "broken", "interrupted"})
# how many hours a range reaches back, and the hours in one bar of its charts
RANGES: Final = {"1h": (1, 1), "24h": (24, 1), "7d": (168, 6), "30d": (720, 24)}
DEFAULT_RANGE: Final = "24h"
MOST_LINES: Final = 12
_NUMBERS: Final = (
    "requests", "retries", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "cost_units", "unpriced", *BUCKETS,
)  # fmt: skip
_SUMS: Final = {f"sum_{name}": Sum(name) for name in _NUMBERS}
_FIRST_BUCKET: Final = len(_NUMBERS) - len(BUCKETS)


@dataclass(slots=True)
class ExchangeSums:
    """Sums over some exchanges. Cache tokens are beside the input, not part of it."""

    sums: list[int] = field(default_factory=lambda: [0] * len(_NUMBERS))
    failed: int = 0
    cancelled: int = 0

    def add(self, state: str, sums: Sequence[int]) -> None:
        for index, number in enumerate(sums):
            if number:
                self.sums[index] += number
        if state in FAILED:
            self.failed += sums[0]
        elif state == "cancelled":
            self.cancelled += sums[0]

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
    """`since`: the start of the first hour that is counted; the last one is still running."""

    since: datetime
    hours_each: int
    whole: ExchangeSums
    models: Sequence[DashboardLine]
    providers: Sequence[DashboardLine]
    keys: Sequence[DashboardLine]
    classes: Sequence[DashboardLine]
    points: Sequence[Point]
    health: Sequence[ProviderPoints]
    ledger: Sequence[tuple[str, int]]


def dashboard(chosen: str, now: datetime) -> Dashboard:
    """The numbers of a range (RANGES), up to `now`."""
    back, each = RANGES[chosen]
    last = int(now.timestamp()) // HOUR
    first = last - back
    if each > 1:
        # whole bars
        first -= first % each
    table = DailyTotal if each % DAY == 0 else HourlyTotal
    totals = table.objects.order_by().filter(hour__gte=first, hour__lte=last, endpoint="messages")
    whole = ExchangeSums()
    models: dict[str, ExchangeSums] = {}
    providers: dict[str, ExchangeSums] = {}
    keys: dict[int, ExchangeSums] = {}
    classes: dict[str, ExchangeSums] = {}
    for upstream, asked, provider, key, state, purpose, *sums in _grouped(first, last):
        whole.add(state, sums)
        models.setdefault(upstream or asked, ExchangeSums()).add(state, sums)
        providers.setdefault(provider, ExchangeSums()).add(state, sums)
        keys.setdefault(key, ExchangeSums()).add(state, sums)
        classes.setdefault(purpose or RequestClass.UNKNOWN, ExchangeSums()).add(state, sums)
    points, by_provider = _points(totals, first, last, each)
    names = dict(ClientKey.objects.filter(pk__in=keys).values_list("pk", "name"))
    return Dashboard(
        since=_moment(first),
        hours_each=each,
        whole=whole,
        models=_lines(models, str),
        providers=_lines(providers, str),
        keys=_lines(keys, lambda key: names.get(key, f"#{key}") if key else ""),
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


def _grouped(first: int, last: int) -> Iterator[Any]:
    """Sums by model, provider, key and state.

    Whole days come from the daily totals, the hours before the first of them from the hourly ones.
    """
    midnight = first + -first % DAY
    for table, since, before in ((HourlyTotal, first, midnight), (DailyTotal, midnight, last + 1)):
        totals = table.objects.order_by().filter(hour__gte=since, hour__lt=before, endpoint="messages")
        yield from totals.values_list(
            "upstream_model", "asked_model", "provider", "client_key_pk", "state", "request_class"
        ).annotate(**_SUMS)


def _points(totals: Any, first: int, last: int, each: int) -> tuple[list[Point], dict[str, list[Point]]]:
    """The bars of all and of each provider, empty ones included."""
    whole: dict[int, ExchangeSums] = {}
    providers: dict[str, dict[int, ExchangeSums]] = {}
    bars = totals.annotate(bar=F("hour") / each).values_list("bar", "provider", "state").annotate(**_SUMS)
    for bar, provider, state, *sums in bars:
        whole.setdefault(int(bar), ExchangeSums()).add(state, sums)
        providers.setdefault(provider, {}).setdefault(int(bar), ExchangeSums()).add(state, sums)

    def every(found: dict[int, ExchangeSums]) -> list[Point]:
        return [
            Point(_moment(bar * each), found.get(bar, ExchangeSums()))
            for bar in range(first // each, last // each + 1)
        ]

    return every(whole), {provider: every(found) for provider, found in providers.items()}


def _lines(found: dict[Any, ExchangeSums], name: Callable[[Any], str]) -> list[DashboardLine]:
    """Those with the most requests; the rest is left out."""
    used = (key for key in found if found[key].requests)
    most = sorted(used, key=lambda key: (-found[key].requests, str(key)))[:MOST_LINES]
    return [DashboardLine(str(key or "none"), name(key), found[key]) for key in most]


def _moment(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR, UTC)
