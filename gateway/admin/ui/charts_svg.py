"""Bar and line charts as SVG shapes, for templates; every shape says its numbers in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 720
HEIGHT: Final = 120
_GAP: Final = 0.2


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar in the chart's units; `upper` stands on top of it (failures)."""

    x: float
    width: float
    y: float
    height: float
    upper_y: float
    upper_height: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`top` is the value at the upper edge, in words; `first` and `last` name the ends of the time axis."""

    title: str
    top: str
    first: str
    last: str
    bars: Sequence[Bar] = ()
    lines: Sequence[tuple[str, str]] = ()
    width: int = WIDTH
    height: int = HEIGHT


def bars(values: Sequence[tuple[float, float, str]]) -> tuple[list[Bar], float]:
    """Bars of (value, part of it that goes on top, words), and the value at the upper edge."""
    top = max((value for value, _, _ in values), default=0) or 1
    each = WIDTH / max(1, len(values))
    made = []
    for number, (value, part, words) in enumerate(values):
        whole, upper = HEIGHT * value / top, HEIGHT * part / top
        made.append(
            Bar(
                round(number * each + each * _GAP / 2, 2),
                round(each * (1 - _GAP), 2),
                round(HEIGHT - whole + upper, 2),
                round(whole - upper, 2),
                round(HEIGHT - whole, 2),
                round(upper, 2),
                words,
            )
        )
    return made, top


def line(values: Sequence[float | None], top: float) -> str:
    """An SVG path through the values; a gap where one is missing."""
    each = WIDTH / max(1, len(values))
    steps, broken = [], True
    for number, value in enumerate(values):
        if value is None:
            broken = True
            continue
        place = f"{(number + 0.5) * each:.2f} {HEIGHT - HEIGHT * min(value, top) / top:.2f}"
        steps.append(f"{'M' if broken else 'L'}{place}")
        if broken:
            # a lone point is seen too: the line's ends are round
            steps.append("h0")
        broken = False
    return " ".join(steps)


def highest(values: Sequence[float | None], least: float, of: Callable[[float], float] = float) -> float:
    """The upper edge for a line chart."""
    return max((of(value) for value in values if value is not None), default=least) or least


@dataclass(frozen=True, slots=True)
class Layer:
    """One colour of a stacked chart: its name, its shapes (x, y, width, height, words), its sum in words."""

    name: str
    shapes: Sequence[tuple[float, float, float, float, str]]
    total: str


@dataclass(frozen=True, slots=True)
class StackedChart:
    """Bars of several layers. `columns`: (name, words) of each bar, for the list beside the picture."""

    title: str
    top: str
    layers: Sequence[Layer]
    columns: Sequence[tuple[str, str]]
    first: str
    last: str
    width: int = WIDTH
    height: int = HEIGHT


def stacked(
    title: Any, names: Sequence[str], layers: Sequence[tuple[str, Sequence[Any]]], said: Callable[[Any], str]
) -> StackedChart:
    """Bars named `names`, each the sum of its layers from below; `said` puts a value into words."""
    sums = [sum(values[at] for _name, values in layers) for at in range(len(names))]
    top = max(sums, default=0) or 1
    each = WIDTH / max(1, len(names))
    bases = [0.0] * len(names)
    made = []
    for name, values in layers:
        shapes = []
        for at, value in enumerate(values):
            height = HEIGHT * float(value / top)
            if height:
                bases[at] += height
                place = (round(each * (at + _GAP / 2), 2), round(HEIGHT - bases[at], 2))
                words = f"{names[at]}, {name}: {said(value)}"
                shapes.append((*place, round(each * (1 - _GAP), 2), round(height, 2), words))
        made.append(Layer(name, shapes, said(sum(values))))
    columns = [
        (column, "; ".join(f"{name} {said(values[at])}" for name, values in layers if values[at]) or said(0))
        for at, column in enumerate(names)
    ]
    first, last = (names[0], names[-1]) if names else ("", "")
    return StackedChart(str(title), said(top), made, columns, first, last)
