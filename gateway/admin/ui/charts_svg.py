"""Bar and line charts as SVG shapes, for templates; every shape says its numbers in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

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
