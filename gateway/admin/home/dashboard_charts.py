"""The charts of the dashboard: requests, how fast they were answered, what they cost, and failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext as _

from gateway.admin.ui.charts import COLOURS, Chart, ChartColumn, Series, Value, cells, span_query, stacked
from gateway.admin.ui.list_filters import requests_url
from gateway.admin.ui.sanitize import inert
from gateway.history.totals.dashboard import Dashboard, ExchangeSums, Point
from gateway.history.totals.failures import by_reason
from gateway.models.history.hourly_total import FIRST_BYTE_BOUNDS

# the upper ends of the heat map's rows, in milliseconds: some of FIRST_BYTE_BOUNDS
_ROWS: Final = (500, 1_000, 2_000, 5_000, 10_000, 30_000)
# reasons that have a colour of their own
_MOST_REASONS: Final = COLOURS - 1


def charts(found: Dashboard, names: Sequence[str], before: Sequence[Point] | None) -> list[Chart]:
    """`names`: one for each point of `found`. `before`: the points of the span before, to compare with."""
    columns = _columns(found, names)
    return [
        _requests(found, columns, before),
        _cost(found, columns, before),
        _first_byte(found, columns, before),
        _heat_map(found, columns),
        _rate(_("Cache hit rate"), found, columns, before, "percent", _hits, _percent),
        _rate(_("Output tokens a second"), found, columns, before, "number", _speed, _plain),
        *_failures(found, columns, names),
    ]


def _columns(found: Dashboard, names: Sequence[str], **filters: str) -> list[ChartColumn]:
    """The bars, each linked to the list of its requests."""
    return [
        ChartColumn(name, requests_url({**span_query(point.at, point.at + found.each), **filters}))
        for name, point in zip(names, found.points, strict=True)
    ]


def _requests(found: Dashboard, columns: list[ChartColumn], before: Sequence[Point] | None) -> Chart:
    numbers = [point.numbers for point in found.points]
    good = [one.requests - one.failed for one in numbers]
    failed = [one.failed for one in numbers]
    series = [
        Series(_("not failed"), cells(good, _count), total=_count(sum(good))),
        Series(_("failed"), cells(failed, _count), colour="bad", total=_count(sum(failed))),
        *_before(before, len(columns), lambda one: one.requests, _count),
    ]
    return Chart(_("Requests"), columns, series, "number", _count(max(one.requests for one in numbers)))


def _cost(found: Dashboard, columns: list[ChartColumn], before: Sequence[Point] | None) -> Chart:
    costs = [point.numbers.cost for point in found.points]
    series = [
        Series(_("Cost"), cells(costs, _dollars), total=_dollars(sum(costs))),
        *_before(before, len(columns), lambda one: one.cost, _dollars),
    ]
    return Chart(_("Cost"), columns, series, "dollars", _dollars(max(costs)))


def _first_byte(found: Dashboard, columns: list[ChartColumn], before: Sequence[Point] | None) -> Chart:
    p95 = [point.numbers.p95 for point in found.points]
    series = [
        Series(_("half within"), cells([point.numbers.p50 for point in found.points], _seconds), "line"),
        Series(_("95 % within"), cells(p95, _seconds), "line", "warn"),
        *_before(before, len(columns), lambda one: one.p50, _seconds),
    ]
    top = max((value for value in p95 if value is not None), default=0)
    return Chart(_("Time to first byte"), columns, series, "seconds", _seconds(top))


def _heat_map(found: Dashboard, columns: list[ChartColumn]) -> Chart:
    """How many answers began within each span of time, the fastest at the bottom."""
    series, first = [], 0
    for bound in (*_ROWS, None):
        behind = len(FIRST_BYTE_BOUNDS) + 1 if bound is None else FIRST_BYTE_BOUNDS.index(bound) + 1
        counts = [sum(point.numbers.first_bytes[first:behind]) for point in found.points]
        edge = "" if bound is None else f"{bound / 1000:g} {_('s')}"
        name = _("up to %s") % edge if edge else _("longer")
        series.append(Series(name, cells(counts, _count), "heat", "ok", edge=edge))
        first = behind
    return Chart(_("Answers by time to first byte"), columns, series)


def _rate(
    title: str,
    found: Dashboard,
    columns: list[ChartColumn],
    before: Sequence[Point] | None,
    unit: str,
    of: Callable[[ExchangeSums], float | None],
    said: Callable[[Any], str],
) -> Chart:
    values = [of(point.numbers) for point in found.points]
    series = [Series(title, cells(values, said), "line"), *_before(before, len(columns), of, said)]
    top = max((value for value in values if value is not None), default=None)
    return Chart(title, columns, series, unit, "" if top is None else said(top))


def _failures(found: Dashboard, columns: list[ChartColumn], names: Sequence[str]) -> list[Chart]:
    """Failures by reason; empty without failures."""
    reasons = by_reason(found.since, found.each, len(columns))
    if not reasons:
        return []
    places = range(len(columns))
    layers = [
        (inert(reason) or _("no reason given"), [counts.get(at, 0) for at in places])
        for reason, counts in reasons[:_MOST_REASONS]
    ]
    rest = [sum(counts.get(at, 0) for _reason, counts in reasons[_MOST_REASONS:]) for at in places]
    if any(rest):
        layers.append((_("others"), rest))
    return [stacked(_("Failures by reason"), _columns(found, names, state="failed"), layers, _count)]


def _before(
    points: Sequence[Point] | None,
    places: int,
    of: Callable[[ExchangeSums], Value],
    said: Callable[[Any], str],
) -> list[Series]:
    """The span before, with as many bars; empty if it is not wanted."""
    if points is None:
        return []
    values = [of(point.numbers) for point in points[-places:]]
    missing: list[Value] = [None] * (places - len(values))
    return [Series(_("span before"), cells(missing + values, said), "before", "before")]


def _count(number: int) -> str:
    return f"{number:,}"


def _dollars(amount: Decimal | int) -> str:
    return f"${amount:,.2f}" if not amount or amount >= 1 else f"${amount:.4f}"


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.2f} {_('s')}"


def _hits(numbers: ExchangeSums) -> float | None:
    return None if numbers.cached_share is None else 100 * numbers.cached_share


def _speed(numbers: ExchangeSums) -> float | None:
    return numbers.tokens_per_second


def _percent(number: float) -> str:
    return f"{number:.1f} %"


def _plain(number: float) -> str:
    return f"{number:,.1f}"
