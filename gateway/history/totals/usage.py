"""What was used and what it cost, summed up for accounting: by owner, group, key, model, provider, client,
working folder or day.

From the hourly totals alone, so requests that are kept no longer still count.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db.models import Sum
from django.utils import timezone

from gateway.history.totals.contributions import FAILED, HOUR, hour_of, spans
from gateway.history.totals.costs import CHARGED
from gateway.history.totals.hourly import moment
from gateway.models import ClientKey, DailyOrigin, DailyTotal, HourlyOrigin, HourlyTotal
from gateway.models.history.hourly_total import COST_UNIT, OTHER, OriginKind, OriginTotal

BY: Final = ("owner", "group", "key", "model", "provider", "client", "folder", "day")
# the most expensive lines of a kind of origin; the others are one line
MOST_ORIGINS: Final = 100
_NUMBERS: Final = tuple(name for name in OriginTotal.NUMBERS if name != "failed")
_COST: Final = OriginTotal.NUMBERS.index("cost_units")
_ORIGINS: Final = frozenset(OriginKind.values)
_SUMS: Final = {f"sum_{name}": Sum(name) for name in _NUMBERS}
_ORIGIN_SUMS: Final = {f"sum_{name}": Sum(name) for name in OriginTotal.NUMBERS}


@dataclass(slots=True)
class UsageSums:
    """Sums over some exchanges. Cached tokens are not part of the input tokens; `cost` in dollars."""

    requests: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost: Decimal = Decimal(0)
    unpriced: int = 0

    def add(self, numbers: Sequence[int]) -> None:
        """`numbers`: OriginTotal.NUMBERS."""
        requests, failed, tokens_in, out, read, written, units, unpriced = numbers
        self.requests += requests
        self.failed += failed
        self.input_tokens += tokens_in
        self.output_tokens += out
        self.cache_read_tokens += read
        self.cache_write_tokens += written
        self.cost += units * COST_UNIT
        self.unpriced += unpriced


@dataclass(slots=True)
class UsageLine:
    """One owner (group, key ...): `key` in addresses ("": none), `name` for people, sums, cost by day."""

    key: str
    name: str
    sums: UsageSums = field(default_factory=UsageSums)
    days: dict[date, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, day: date, numbers: Sequence[int]) -> None:
        """`numbers`: OriginTotal.NUMBERS."""
        self.sums.add(numbers)
        self.days[day] += numbers[_COST] * COST_UNIT


@dataclass(frozen=True, slots=True)
class UsageReport:
    """`lines`: the most expensive first (days in order); `whole`: their sum; `days`: those of the span."""

    by: str
    since: datetime
    until: datetime
    lines: list[UsageLine]
    whole: UsageSums
    days: list[date]


def usage(by: str, since: datetime, until: datetime, zone: tzinfo | None = None) -> UsageReport:
    """The sums of the whole hours from `since` to before `until`, with days of `zone` (the reader's).

    An hour in which one span ends and the next begins, as in zones of half hours, belongs to the first.
    Raises ValueError for a `by` that is not in BY.
    """
    if by not in BY:
        raise ValueError(by)
    zone = zone or timezone.get_current_timezone()
    first, behind = _hour_behind(since), _hour_behind(until)
    label = _labels(by)
    day_of = _days_of(zone)
    lines: dict[str, UsageLine] = {}
    whole = UsageLine("", "")
    for hour, key_pk, model, provider, state, *told in _rows(by, first, behind, zone):
        day = day_of(hour)
        requests, *others = (int(number or 0) for number in told)
        numbers = (requests, requests if state in FAILED else 0, *others)
        for key, name in label(key_pk, model, provider, day):
            line = lines.get(key)
            if line is None:
                line = lines[key] = UsageLine(key, name)
            line.add(day, numbers)
        whole.add(day, numbers)
    if by in _ORIGINS:
        lines = _origins(by, first, behind, zone, whole)
    dearest = sorted(lines.values(), key=lambda line: (-line.sums.cost, -line.sums.requests, line.name))
    ordered = sorted(lines.values(), key=lambda line: line.key) if by == "day" else dearest
    days = _days(since.astimezone(zone).date(), (until - timedelta(microseconds=1)).astimezone(zone).date())
    return UsageReport(by, since, until, ordered, whole.sums, days)


def _hour_behind(moment: datetime) -> int:
    """The first hour that has nothing from before `moment`."""
    return hour_of(moment - timedelta(microseconds=1)) + 1


def forecast(whole: Decimal, since: datetime, until: datetime, now: datetime) -> Decimal | None:
    """What a month will cost at the pace so far; None when `since` begins no month, or it is over.

    `whole`: what was spent from `since` to `now`.
    """
    start = since
    if start.day != 1 or (start.hour, start.minute) != (0, 0) or not start <= now:
        return None
    length = timedelta(days=calendar.monthrange(start.year, start.month)[1])
    if now >= start + length or until < now - timedelta(minutes=1):
        return None
    gone = (now - start).total_seconds()
    return whole * Decimal(length.total_seconds() / gone) if gone >= HOUR else None


def _rows(by: str, first: int, behind: int, zone: tzinfo) -> Iterable[Any]:
    """(hour, key, model, provider, state, *numbers): by whole days of UTC where a reader's day is one."""
    names = ("hour", "client_key_pk", "upstream_model", "provider", "state")
    daily = DailyTotal if _is_utc(zone) else HourlyTotal
    # group only by what is asked for, so that there are fewer rows
    kept = {"key": "client_key_pk", "owner": "client_key_pk", "group": "client_key_pk"}.get(by)
    grouped = {"hour", "state", kept, {"model": "upstream_model", "provider": "provider"}.get(by)}
    for table, start, end in spans(HourlyTotal, daily, first, behind):
        totals = table.objects.order_by().filter(hour__gte=start, hour__lt=end, endpoint__in=CHARGED)
        wanted = [name for name in names if name in grouped]
        for values in totals.values_list(*wanted).annotate(**_SUMS):
            facts = dict(zip(wanted, values, strict=False))
            yield tuple(facts.get(name, 0 if name == "client_key_pk" else "") for name in names) + tuple(
                values[len(wanted) :]
            )


def _origins(by: str, first: int, behind: int, zone: tzinfo, whole: UsageLine) -> dict[str, UsageLine]:
    """The lines of a kind of origin, the last ones as OTHER, and as "" what came from nowhere known.

    `whole`: the sum over everything. What the origins lack of it came from nowhere known, or from before
    origins were counted.
    """
    day_of = _days_of(zone)
    found: dict[str, UsageLine] = {}
    known = UsageLine("", "")
    daily = DailyOrigin if _is_utc(zone) else HourlyOrigin
    for table, start, end in spans(HourlyOrigin, daily, first, behind):
        totals = table.objects.order_by().filter(kind=by, hour__gte=start, hour__lt=end)
        for hour, name, *told in totals.values_list("hour", "name").annotate(**_ORIGIN_SUMS):
            numbers = [int(number) for number in told]
            if not numbers[0]:
                # what replaced rows left, or changed costs of rows from before origins were counted
                continue
            line = found.get(name)
            if line is None:
                line = found[name] = UsageLine(name, name)
            line.add(day_of(hour), numbers)
            known.add(day_of(hour), numbers)
    dearest = sorted(
        (line for line in found.values() if line.key != OTHER),
        key=lambda line: (-line.sums.cost, -line.sums.requests, line.name),
    )
    lines = {line.key: line for line in dearest[:MOST_ORIGINS]}
    other = found.get(OTHER) or UsageLine(OTHER, OTHER)
    for line in dearest[MOST_ORIGINS:]:
        _merge(other, line)
    unknown = UsageLine("", "")
    _merge(unknown, whole)
    _merge(unknown, known, -1)
    lines.update((line.key, line) for line in (other, unknown) if line.sums.requests)
    return lines


def _merge(line: UsageLine, more: UsageLine, sign: int = 1) -> None:
    for one in fields(UsageSums):
        setattr(line.sums, one.name, getattr(line.sums, one.name) + sign * getattr(more.sums, one.name))
    for day, cost in more.days.items():
        line.days[day] += sign * cost


def _labels(by: str) -> Callable[[int, str, str, date], list[tuple[str, str]]]:
    """(key, name) of the line or lines that a row belongs to."""
    if by in _ORIGINS:
        return lambda _key, _model, _provider, _day: []
    if by == "model":
        return lambda _key, model, _provider, _day: [(model, model)]
    if by == "provider":
        return lambda _key, _model, provider, _day: [(provider, provider)]
    if by == "day":
        return lambda _key, _model, _provider, day: [(day.isoformat(), day.isoformat())]
    keys = {key.pk: key for key in ClientKey.objects.select_related("user")}
    if by == "key":
        return lambda key, _model, _provider, _day: [
            (str(key or "none"), keys[key].name if key in keys else f"#{key}" if key else "")
        ]
    owners = {pk: key.owner_name for pk, key in keys.items()}
    if by == "owner":
        return lambda key, _model, _provider, _day: [(owners.get(key, ""), owners.get(key, ""))]
    groups = _groups(keys)
    return lambda key, _model, _provider, _day: [(name, name) for name in groups.get(key, [""])]


def _groups(keys: Mapping[int, ClientKey]) -> dict[int, list[str]]:
    """The groups of the owner of each key. Whoever is in several counts in each of them."""
    users = get_user_model()._default_manager.prefetch_related("groups")
    names = {user.pk: sorted(group.name for group in user.groups.all()) for user in users}
    return {pk: names.get(key.user_id or 0) or [""] for pk, key in keys.items()}


def _days_of(zone: tzinfo) -> Callable[[int], date]:
    known: dict[int, date] = {}

    def day(hour: int) -> date:
        found = known.get(hour)
        if found is None:
            found = known[hour] = moment(hour).astimezone(zone).date()
        return found

    return day


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range(max(0, (last - first).days) + 1)]


def _is_utc(zone: tzinfo) -> bool:
    return str(zone) == "UTC"
