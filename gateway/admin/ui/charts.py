"""Charts as tables: the page contains the numbers for every reader, and static/gateway/charts.js draws them.

A chart has columns (spans of time, turns, keys) and series over them. The address of a column is a link in
the table, which a click on the chart follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from gateway.admin.ui import time_range

# the number of colours for stacked series, as in dashboard.css and charts.js
COLOURS: Final = 8
_MOMENT: Final = "%Y-%m-%dT%H:%MZ"

Value = float | int | Decimal | None


class ChartColumn(NamedTuple):
    """A place on the axis. `url`: where it links; "" for nowhere."""

    name: str
    url: str = ""


class ChartCell(NamedTuple):
    """One number. `value` is None if unknown."""

    value: Value
    words: str


@dataclass(frozen=True, slots=True)
class Series:
    """`kind`: "bar" (stacked bars), "line", "heat" (a row of a heat map) or "before" (the span
    before).

    `colour`: a number below COLOURS, or ok, warn or bad. `total`: the sum in words, for the legend.
    `edge`: where a row of a heat map ends, for the axis.
    """

    name: str
    cells: Sequence[ChartCell]
    kind: str = "bar"
    colour: str = "ok"
    total: str = ""
    edge: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """`unit` of the axis: number, dollars, seconds (values are milliseconds) or percent.

    `top`: the highest value in words. `across`: columns are drawn as horizontal bars.
    """

    title: str
    columns: Sequence[ChartColumn]
    series: Sequence[Series]
    unit: str = "number"
    top: str = ""
    across: bool = False

    def rows(self) -> Iterator[tuple[ChartColumn, list[ChartCell]]]:
        """The rows of the table: each column with its number in every series."""
        for place, column in enumerate(self.columns):
            yield column, [one.cells[place] for one in self.series]

    @property
    def has_legend(self) -> bool:
        return len(self.series) > 1 and not self.is_heat_map

    @property
    def is_heat_map(self) -> bool:
        return any(one.kind == "heat" for one in self.series)


def cells(values: Sequence[Value], said: Callable[[Any], str]) -> list[ChartCell]:
    """Numbers with their words, which are a dash for None."""
    return [ChartCell(value, "–" if value is None else said(value)) for value in values]


def stacked(
    title: Any,
    columns: Sequence[ChartColumn],
    layers: Sequence[tuple[str, Sequence[Any]]],
    said: Callable[[Any], str],
    unit: str = "number",
) -> Chart:
    """Stacked bars, the first layer at the bottom; `said` puts a value into words."""
    sums = [sum(values[at] for _name, values in layers) for at in range(len(columns))]
    series = [
        Series(name, cells(values, said), colour=str(place % COLOURS), total=said(sum(values)))
        for place, (name, values) in enumerate(layers)
    ]
    return Chart(str(title), columns, series, unit, said(max(sums, default=0)))


def span_query(since: datetime, until: datetime) -> dict[str, str]:
    """The query parameter for this span."""
    ends = (moment.astimezone(UTC).strftime(_MOMENT) for moment in (since, until))
    return {time_range.PARAMETER: "..".join(ends)}
