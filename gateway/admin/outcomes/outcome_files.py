"""The outcomes as files: a line for each figure of a target, by class and by week, and for all of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, Final

from django.http import HttpResponse

from gateway.history.outcomes.report import OutcomeReport, monday
from gateway.history.totals.usage_table import unlike_formula
from gateway.wire import jsontext

COLUMNS: Final = (
    "mapping", "provider", "upstream_model", "class", "week", "figure", "value", "low", "high", "number",
    "too_few",
)  # fmt: skip


def lines(found: OutcomeReport, request_class: str) -> Iterator[tuple[Any, ...]]:
    """COLUMNS of each figure that has a value. `class` and `week` (its Monday) are empty for all together.

    With a class, only of that one.
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


def csv_file(found: OutcomeReport, request_class: str) -> HttpResponse:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for line in lines(found, request_class):
        writer.writerow([unlike_formula(cell) if type(cell) is str else cell for cell in line])
    return _file(text.getvalue().encode("utf-8", "replace"), found, "csv", "text/csv; charset=utf-8")


def json_file(found: OutcomeReport, request_class: str) -> HttpResponse:
    value = {
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "outcomes": [dict(zip(COLUMNS, line, strict=True)) for line in lines(found, request_class)],
    }
    return _file(jsontext.dumps(value), found, "json", "application/json")


def _rounded(value: float) -> float:
    """Six digits: no figure is known better."""
    return float(f"{value:.6g}")


def _file(body: bytes, found: OutcomeReport, kind: str, content_type: str) -> HttpResponse:
    name = f"models-{found.since:%Y-%m-%d}-to-{found.until:%Y-%m-%d}.{kind}"
    return HttpResponse(
        body,
        content_type=content_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        },
    )
