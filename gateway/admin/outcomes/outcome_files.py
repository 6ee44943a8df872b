"""The outcomes as files: one line for each figure of a target, by class, by week, and in all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

from django.http import HttpResponse

from gateway.admin.downloads import csv_download, json_download
from gateway.history.outcomes.report import OutcomeReport, monday

COLUMNS: Final = (
    "mapping", "provider", "upstream_model", "class", "week", "figure", "value", "low", "high", "number",
    "too_few",
)  # fmt: skip


def lines(found: OutcomeReport, request_class: str) -> Iterator[tuple[Any, ...]]:
    """A tuple of COLUMNS for each figure that has a value; with a `request_class` only of that class.

    `class` and `week` (its Monday) are empty in lines about all of them.
    """
    classes = [request_class] if request_class else ["", *found.classes()]
    for target in found.targets(request_class):
        for counted in classes:
            for week in (None, *found.weeks()):
                for name, one in found.figures(target, counted, week).items():
                    if one.value is not None:
                        yield (
                            target.mapping, target.provider, target.upstream_model, counted,
                            "" if week is None else monday(week).isoformat(), name, _rounded(one.value),
                            _rounded(one.low), _rounded(one.high), one.number, one.too_few,
                        )  # fmt: skip


def _csv(found: OutcomeReport, request_class: str) -> HttpResponse:
    return csv_download(chain([COLUMNS], lines(found, request_class)), _name(found, "csv"))


def _json(found: OutcomeReport, request_class: str) -> HttpResponse:
    value = {
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "outcomes": [dict(zip(COLUMNS, line, strict=True)) for line in lines(found, request_class)],
    }
    return json_download(value, _name(found, "json"))


def _rounded(value: float) -> float:
    """Six significant digits, more than any figure is known to."""
    return float(f"{value:.6g}")


def _name(found: OutcomeReport, ending: str) -> str:
    return f"models-{found.since:%Y-%m-%d}-to-{found.until:%Y-%m-%d}.{ending}"


# by the value of `?format=`; the second argument is a class, or "" for all
FILES: Final[dict[str, Callable[[OutcomeReport, str], HttpResponse]]] = {"csv": _csv, "json": _json}
