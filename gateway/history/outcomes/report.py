"""The figures of targets over a range, from the totals, so that the number of requests does not matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple

from django.db import connection

from gateway.history.outcomes.figures import BY_NAME, figures
from gateway.history.outcomes.intervals import Estimate
from gateway.history.totals.contributions import DAY, hour_of, spans
from gateway.models import DailyOutcome, DailyTool, HourlyOutcome, HourlyTool
from gateway.models.history.outcome_total import EVERY_CLASS, UNIT_NUMBERS, OutcomeTotal, ToolTotal

# tools that have figures of their own
APART: Final = ("Edit", "Write")
WEEK: Final = 7 * DAY
# 1970 began on a Thursday; hours since the Monday before it
_SINCE_MONDAY: Final = 3 * DAY
_KEY: Final = ("mapping_pk", "mapping", "provider", "upstream_model", "request_class")
_KEYS: Final = len(_KEY)
_PRODUCTS: Final = frozenset({"cached_by_input", "tokens_by_ms"})
# these have rows of their own for all classes together
_UNITS: Final = frozenset(UNIT_NUMBERS)


class ComparedTarget(NamedTuple):
    """One target of one mapping: what is compared. `mapping` is its newest pattern."""

    mapping_pk: int
    mapping: str
    provider: str
    upstream_model: str


class _Part(NamedTuple):
    """The sums of one class, or of one tool in it, in one week."""

    request_class: str
    sums: dict[str, int]
    tool: str = ""


class _Row(NamedTuple):
    """Sums from the database, by name. `newest`: the last hour among them."""

    mapping_pk: int
    mapping: str
    provider: str
    upstream_model: str
    request_class: str
    week: int
    newest: int
    tool: str
    sums: dict[str, int]


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """The whole hours from `since` to `until`. The figures of a class, "" for all; of a week, or all of them.

    Weeks are numbered since 1970 and begin on Monday, in UTC.
    """

    since: datetime
    until: datetime
    _parts: dict[ComparedTarget, dict[int, list[_Part]]] = field(default_factory=dict)
    _tools: dict[ComparedTarget, dict[int, list[_Part]]] = field(default_factory=dict)

    def targets(self, request_class: str = "") -> list[ComparedTarget]:
        """Those with the most requests first."""
        requests = {
            target: sum(part.sums.get("requests", 0) for part in self._of(self._parts, target, request_class))
            for target in self._parts
        }
        asked = [target for target, number in requests.items() if number]
        return sorted(asked, key=lambda target: (-requests[target], target))

    def classes(self) -> list[str]:
        """The classes that there are requests of, as the totals have them."""
        every = (part for weeks in self._parts.values() for parts in weeks.values() for part in parts)
        return sorted({part.request_class for part in every} - {EVERY_CLASS})

    def weeks(self) -> list[int]:
        """From the first week with requests to the last, without gaps."""
        weeks = {week for parts in self._parts.values() for week in parts}
        return list(range(min(weeks), max(weeks) + 1)) if weeks else []

    def numbers(
        self, target: ComparedTarget, request_class: str = "", week: int | None = None
    ) -> dict[str, int]:
        """The sums, by the names of OutcomeTotal.NUMBERS; all of them."""
        sums = dict.fromkeys(OutcomeTotal.NUMBERS, 0)
        for part in self._of(self._parts, target, request_class, week):
            every = part.request_class == EVERY_CLASS
            for name, number in part.sums.items():
                # sessions and prompts of all classes have sums of their own
                if request_class or (name in _UNITS) == every:
                    sums[name] += number
        return sums

    def tools(
        self, target: ComparedTarget, request_class: str = "", week: int | None = None
    ) -> dict[str, dict[str, int]]:
        """The sums by tool, by the names of ToolTotal.NUMBERS."""
        found: dict[str, dict[str, int]] = {}
        for part in self._of(self._tools, target, request_class, week):
            sums = found.setdefault(part.tool, dict.fromkeys(ToolTotal.NUMBERS, 0))
            for name, number in part.sums.items():
                sums[name] += number
        return found

    def _of(
        self,
        parts: Mapping[ComparedTarget, Mapping[int, list[_Part]]],
        target: ComparedTarget,
        request_class: str,
        week: int | None = None,
    ) -> Iterator[_Part]:
        weeks = parts.get(target, {})
        for some in weeks.values() if week is None else (weeks.get(week, ()),):
            for part in some:
                if not request_class or part.request_class == request_class:
                    yield part

    def figure(
        self, name: str, target: ComparedTarget, request_class: str = "", week: int | None = None
    ) -> Estimate:
        """One figure, by its name."""
        numbers, tools = self.numbers(target, request_class, week), self.tools(target, request_class, week)
        return BY_NAME[name].of(numbers, tools)

    def figures(
        self, target: ComparedTarget, request_class: str = "", week: int | None = None
    ) -> dict[str, Estimate]:
        """Every figure, by its name."""
        return figures(self.numbers(target, request_class, week), self.tools(target, request_class, week))


def report(
    since: datetime,
    until: datetime,
    *,
    mapping_pk: int | None = None,
    provider: str | None = None,
    upstream_model: str | None = None,
) -> OutcomeReport:
    """The outcomes of requests that began in the whole hours from `since` to before `until`.

    With some of the others, only of that mapping or target.
    """
    asked = {"mapping_pk": mapping_pk, "provider": provider, "upstream_model": upstream_model}
    only = {name: value for name, value in asked.items() if value is not None}
    found = OutcomeReport(since, until)
    names: dict[int, tuple[int, str]] = {}
    rows = list(_summed(HourlyOutcome, DailyOutcome, only, since, until))
    for row in rows:
        # a mapping whose pattern was changed is the same mapping
        names[row.mapping_pk] = max(names.get(row.mapping_pk, (0, "")), (row.newest, row.mapping))
    for row in rows:
        parts = found._parts.setdefault(_target(row, names), {})
        parts.setdefault(row.week, []).append(_Part(row.request_class, row.sums))
    for row in _summed(HourlyTool, DailyTool, only, since, until):
        parts = found._tools.setdefault(_target(row, names), {})
        parts.setdefault(row.week, []).append(_Part(row.request_class, row.sums, row.tool))
    return found


def monday(week: int) -> date:
    """The first day of a week."""
    return datetime.fromtimestamp((week * WEEK - _SINCE_MONDAY) * 3600, UTC).date()


def _last(until: datetime) -> datetime:
    return until - timedelta(microseconds=1)


def _target(row: _Row, names: Mapping[int, tuple[int, str]]) -> ComparedTarget:
    pk = row.mapping_pk
    name = names[pk][1] if pk and pk in names else row.mapping
    return ComparedTarget(pk, name, row.provider, row.upstream_model)


def _summed(
    hourly: Any, daily: Any, only: Mapping[str, Any], since: datetime, until: datetime
) -> Iterator[_Row]:
    """Sums by key and week: whole days from the daily totals, the hours before and behind from the others."""
    first, behind = hour_of(since), hour_of(_last(until)) + 1
    for table, start, end in spans(hourly, daily, first, behind):
        with connection.cursor() as cursor:
            cursor.execute(_statement(table, tuple(only)), [start, end, *only.values()])
            for found in cursor.fetchall():
                place, numbers = found[: -len(table.NUMBERS)], found[-len(table.NUMBERS) :]
                named = zip(table.NUMBERS, numbers, strict=True)
                sums = {name: int(value) for name, value in named if value}
                tool = place[-1] if "tool" in table.SLOT else ""
                yield _Row._make((*place[: _KEYS + 2], tool, sums))


@cache
def _statement(table: Any, only: tuple[str, ...]) -> str:
    """Plain SQL: building a query of seventy sums takes longer than running it."""
    more = table.SLOT[_KEYS + 1 :]
    # sums of squares may be larger than a database's integers
    sums = [
        f"sum(CAST({name} AS double precision))"
        if name.endswith("_sq") or name in _PRODUCTS
        else f"sum({name})"
        for name in table.NUMBERS
    ]
    columns = [*_KEY, f"(hour + {_SINCE_MONDAY}) / {WEEK}", "max(hour)", *more, *sums]
    grouped = [str(place) for place in range(1, len(columns) - len(sums) + 1) if place != _KEYS + 2]
    conditions = ["hour >= %s", "hour < %s", *(f"{name} = %s" for name in only)]
    return (
        f"SELECT {', '.join(columns)} FROM {table._meta.db_table}"  # noqa: S608 (our columns)
        f" WHERE {' AND '.join(conditions)} GROUP BY {', '.join(grouped)}"
    )
