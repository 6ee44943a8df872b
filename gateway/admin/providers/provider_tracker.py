"""Provider health as a row of cells, one for each span of time, each with a mark and a description."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _

from gateway.history.totals.dashboard import ExchangeSums, Point, ProviderPoints

# the share of failed requests from which a cell is bad; below that, and above 0, it is `some`
_BAD: Final = 0.2
# marks in cells, so that colour is not the only sign
_MARKS: Final = {"none": "", "good": "✓", "some": "!", "bad": "✕"}


@dataclass(frozen=True, slots=True)
class Cell:
    """`level`: none (no requests), good, some or bad."""

    level: str
    mark: str
    words: str


@dataclass(frozen=True, slots=True)
class Tracker:
    """One provider: its cells in order, and a sentence about all of them."""

    slug: str
    words: str
    level: str
    cells: Sequence[Cell]


def trackers(providers: Sequence[ProviderPoints], time_of: Callable[[Point], str]) -> list[Tracker]:
    """A tracker for each provider with requests; `time_of` names the time of a cell."""
    return [
        _tracker(slug, points, time_of)
        for slug, points in providers
        if slug and any(point.numbers.requests for point in points)
    ]


def _tracker(slug: str, points: Sequence[Point], time_of: Callable[[Point], str]) -> Tracker:
    cells = [_cell(point, time_of(point)) for point in points]
    asked = [point for point in points if point.numbers.requests]
    worst = max(asked, key=lambda point: point.numbers.failed_share)
    level = _level(asked[-1].numbers)
    if not worst.numbers.failed:
        words = _("no failures")
    elif level == "bad":
        words = _("failing now: %(share)s at %(time)s") % _facts(asked[-1], time_of)
    else:
        words = _("at worst %(share)s failed, at %(time)s") % _facts(worst, time_of)
    return Tracker(slug, words, level, cells)


def _facts(point: Point, time_of: Callable[[Point], str]) -> dict[str, str]:
    return {"share": f"{100 * point.numbers.failed_share:.1f} %", "time": time_of(point)}


def _cell(point: Point, time: str) -> Cell:
    numbers, level = point.numbers, _level(point.numbers)
    if level == "none":
        return Cell(level, _MARKS[level], _("%(time)s: no requests") % {"time": time})
    text = _("%(time)s: %(failed)d of %(requests)d requests failed (%(share)s)")
    share = f"{100 * numbers.failed_share:.1f} %"
    facts = {"time": time, "failed": numbers.failed, "requests": numbers.requests, "share": share}
    return Cell(level, _MARKS[level], text % facts)


def _level(numbers: ExchangeSums) -> str:
    if not numbers.requests:
        return "none"
    if not numbers.failed:
        return "good"
    return "bad" if numbers.failed_share >= _BAD else "some"
