"""Timelines as shapes for an SVG that the server draws (pure). Lengths are in the picture's own units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

WIDTH: Final = 1000
ROW: Final = 26
MARGIN: Final = 4
NARROWEST: Final = 2
MOST_ROWS: Final = 400


@dataclass(frozen=True, slots=True)
class Span:
    """A span from `start` for `took` milliseconds, in `row` (0 at the top).

    `kind` is its class in the stylesheet, `text` its tooltip, `link` its address.
    """

    row: int
    start: float
    took: float
    kind: str
    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    x: float
    y: int
    width: float
    kind: str
    text: str
    link: str


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """`labels`: those of the rows, from the top. The picture is WIDTH wide."""

    shapes: list[Shape]
    ticks: list[Tick]
    labels: list[str]
    height: int
    width: int = WIDTH
    row: int = ROW

    @property
    def linked(self) -> bool:
        """Whether a shape leads somewhere; what holds links is no image to a screen reader."""
        return any(shape.link for shape in self.shapes)

    @property
    def drawn(self) -> SafeString:
        """The elements of the SVG, made in Python because a template would be slow for a thousand."""
        ticks = (
            f'<line x1="{tick.x:g}" x2="{tick.x:g}" y1="0" y2="{self.height}" class="gw-tick"/>'
            for tick in self.ticks
        )
        return mark_safe("".join([*ticks, *map(_element, self.shapes)]))  # noqa: S308 (texts are escaped)


def picture(spans: Sequence[Span], labels: Sequence[str], length: float) -> Picture:
    """Lay spans out over `length` milliseconds; what reaches beyond is cut."""
    length = max(length, 1.0)
    scale = WIDTH / length
    shapes = [
        Shape(
            round(min(max(span.start, 0.0) * scale, WIDTH - NARROWEST), 1),
            span.row * ROW,
            round(max(min(span.took, length - max(span.start, 0.0)) * scale, NARROWEST), 1),
            span.kind,
            span.text,
            span.link,
        )
        for span in spans
        if span.row < MOST_ROWS
    ]
    rows = min(len(labels), MOST_ROWS)
    return Picture(shapes, _ticks(length, scale), list(labels[:rows]), rows * ROW)


def _element(shape: Shape) -> str:
    drawn = (
        f'<rect x="{shape.x:g}" y="{shape.y + MARGIN}" width="{shape.width:g}" height="{ROW - 2 * MARGIN}"'
        f' class="gw-shape gw-shape-{escape(shape.kind)}"><title>{escape(shape.text)}</title></rect>'
    )
    return f'<a href="{escape(shape.link)}">{drawn}</a>' if shape.link else drawn


def _ticks(length: float, scale: float) -> list[Tick]:
    step = next((step for step in _steps() if length / step <= 8), length)
    count = int(length // step)
    return [Tick(round(number * step * scale, 1), _moment(number * step)) for number in range(count + 1)]


def _steps() -> list[float]:
    seconds = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400, 604800)
    return [second * 1000 for second in seconds]


def _moment(milliseconds: float) -> str:
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:g} {_('s')}"
    if seconds < 3600:
        return f"{seconds / 60:g} {_('min')}"
    return _("%(hours)s h") % {"hours": f"{seconds / 3600:g}"}
