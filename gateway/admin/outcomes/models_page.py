"""Models: targets compared by the outcomes of their requests."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gateway.admin.outcomes.figure_words import WORDS, cell, value_in_words
from gateway.admin.outcomes.outcome_files import FILES
from gateway.admin.range_page import RangePage
from gateway.admin.ui import time_range
from gateway.admin.ui.charts import COLOURS, Chart, ChartCell, ChartColumn, Series
from gateway.admin.ui.list_filters import requests_url
from gateway.admin.ui.sanitize import inert
from gateway.client_protocol.purpose import CONDITIONS
from gateway.history.outcomes.figures import BY_NAME, FIGURES, errors
from gateway.history.outcomes.intervals import LEAST
from gateway.history.outcomes.report import APART, ComparedTarget, OutcomeReport, monday, report
from gateway.models import HourlyOutcome
from gateway.models.history.hourly_total import OTHER
from gateway.models.history.request_log import class_words

# columns of the table; filtering by mapping shows other targets
MOST_TARGETS: Final = 6
MOST_TOOLS: Final = 20
MOST_WEEKS: Final = 60
DEFAULT_CURVE: Final = "tool_errors"
# units of the chart's axis by units of figures
_AXES: Final = {"share": "percent", "dollars": "dollars", "milliseconds": "seconds"}
# parameters of the list of requests to which a figure links
_LISTED: Final[dict[str, dict[str, str]]] = {
    "failures": {"state": "error,broken"},
    "refusals": {"stop_reason": "refusal"},
    "cut_answers": {"stop_reason": "max_tokens"},
    "calls_per_turn": {"with": "tools"},
    "repaired_arguments": {"with": "tools,ledger"},
    "failed_attempts": {"with": "retries"},
    "compactions": {"class": "compaction"},
}


@admin.register(HourlyOutcome)
class ModelsAdmin(RangePage):
    """The only page about hourly outcomes."""

    ranges: ClassVar = ("24h", "7d", "30d", "month", "last-month")
    default_range = "30d"

    def report(self, request: HttpRequest, span: time_range.TimeRange, form: str) -> HttpResponse:
        since, until = span.bounds(timezone.now())
        asked = request.GET.get("class", "")
        counted = asked if asked in CONDITIONS else ""
        found = report(since, until, mapping_pk=_number(request.GET.get("mapping", "")))
        if form:
            return FILES[form](found, counted)
        every = found.targets(counted)
        targets = every[:MOST_TARGETS]
        curve = request.GET.get("curve", "")
        context = self.range_context(
            request,
            _("Models"),
            span,
            since=since,
            until=until,
            classes=[
                _link(request, "class", name, class_words(name) if name else gettext("all"), counted)
                for name in ("", *found.classes())
            ],
            mappings=_mappings(request),
            heads=[_head(target, found, counted, span) for target in targets],
            rows=_rows(targets, found, counted, span),
            tools=_tools(targets, found, counted, span),
            left_out=len(every) - len(targets),
            chart=_chart(targets, found, counted, curve if curve in BY_NAME else DEFAULT_CURVE),
            curves=[(kind.name, WORDS[kind.name][0]) for kind in FIGURES],
            curve=curve if curve in BY_NAME else DEFAULT_CURVE,
            least=LEAST,
        )
        return TemplateResponse(request, "admin/gateway/outcomes/models.html", context)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else None


def _query(request: HttpRequest, **changed: str) -> str:
    """The page's query with parameters changed; "" removes one."""
    rest = request.GET.copy()
    for name, value in changed.items():
        rest.pop(name, None)
        if value:
            rest[name] = value
    return rest.urlencode()


def _link(request: HttpRequest, parameter: str, value: str, title: Any, here: str) -> dict[str, Any]:
    return {"title": title, "query": _query(request, **{parameter: value}), "current": value == here}


def _mappings(request: HttpRequest) -> list[dict[str, Any]]:
    """Links to the mappings that have outcomes, taken from the newest rows."""
    recent = HourlyOutcome.objects.order_by("-hour").values_list("mapping_pk", "mapping")[:2000]
    names: dict[int, str] = {}
    for pk, name in recent:
        names.setdefault(pk, name)
    here = request.GET.get("mapping", "")
    links = [_link(request, "mapping", "", gettext("all"), here)]
    named = sorted(names.items(), key=lambda one: one[1])
    return links + [
        _link(request, "mapping", str(pk), inert(name) or gettext("none"), here) for pk, name in named if pk
    ]


def _requests_url(
    target: ComparedTarget, counted: str, span: time_range.TimeRange, more: dict[str, str]
) -> str:
    """The address of the list of a target's requests; "" if there is none."""
    if target.upstream_model in ("", OTHER):
        return ""
    asked = {"provider": target.provider, "upstream_model": target.upstream_model, **more}
    if counted and "class" not in asked:
        asked["class"] = counted
    asked[time_range.PARAMETER] = span.token
    return requests_url(asked)


def _head(
    target: ComparedTarget, found: OutcomeReport, counted: str, span: time_range.TimeRange
) -> dict[str, Any]:
    numbers = found.numbers(target, counted)
    return {
        "mapping": inert(target.mapping) or gettext("none"),
        "provider": inert(target.provider),
        "model": inert(target.upstream_model),
        "url": _requests_url(target, counted, span, {}),
        "requests": numbers["requests"],
        "sessions": numbers["sessions"],
        "prompts": numbers["prompts"],
    }


def _rows(
    targets: list[ComparedTarget], found: OutcomeReport, counted: str, span: time_range.TimeRange
) -> list[dict[str, Any]]:
    columns = [found.figures(target, counted) for target in targets]
    rows = []
    for kind in FIGURES:
        title, words = WORDS[kind.name]
        first = columns[0][kind.name] if columns else None
        cells = [
            cell(
                kind,
                figures[kind.name],
                first if place else None,
                _requests_url(target, counted, span, _LISTED[kind.name]) if kind.name in _LISTED else "",
            )
            for place, (target, figures) in enumerate(zip(targets, columns, strict=True))
        ]
        rows.append({"name": kind.name, "title": title, "words": words, "cells": cells})
    return rows


def _tools(
    targets: list[ComparedTarget], found: OutcomeReport, counted: str, span: time_range.TimeRange
) -> list[dict[str, Any]]:
    """Errors by tool, Edit and Write first, then the tools with the most results."""
    columns = [found.tools(target, counted) for target in targets]
    results: dict[str, int] = {}
    for tools in columns:
        for name, numbers in tools.items():
            results[name] = results.get(name, 0) + numbers["results"]
    called = [name for name, number in results.items() if number]
    most = sorted(called, key=lambda name: (name not in APART, -results[name], name))[:MOST_TOOLS]
    rows = []
    for name in most:
        of = [errors(tools[name]) if name in tools else None for tools in columns]
        # only names that the search box can take
        asked = {"q": f"tool:{name}"} if name.replace("_", "").replace("-", "").isalnum() else None
        cells = [
            None
            if one is None
            else cell(
                BY_NAME["tool_errors"],
                one,
                of[0] if place else None,
                _requests_url(target, counted, span, asked) if asked else "",
            )
            for place, (target, one) in enumerate(zip(targets, of, strict=True))
        ]
        rows.append({"title": inert(name) or gettext("none"), "cells": cells})
    return rows


def _chart(targets: list[ComparedTarget], found: OutcomeReport, counted: str, name: str) -> Chart | None:
    """One figure by week, a line for each target; None for a single week."""
    weeks = found.weeks()[-MOST_WEEKS:]
    if len(weeks) < 2 or not targets:
        return None
    kind = BY_NAME[name]
    series, most = [], None
    for place, target in enumerate(targets):
        line = [found.figure(name, target, counted, week) for week in weeks]
        values = [None if one.value is None or one.too_few else one.value for one in line]
        most = max((value for value in (most, *values) if value is not None), default=None)
        words = [_point(kind.unit, one) for one in line]
        line_cells = [
            ChartCell(_scaled(kind.unit, value), word) for value, word in zip(values, words, strict=True)
        ]
        series.append(Series(_name(target), line_cells, "line", str(place % COLOURS)))
    title = gettext("%(title)s by week") % {"title": WORDS[name][0]}
    top = "" if most is None else value_in_words(kind.unit, most)
    columns = [ChartColumn(monday(week).isoformat()) for week in weeks]
    return Chart(title, columns, series, _AXES.get(kind.unit, "number"), top)


def _scaled(unit: str, value: float | None) -> float | None:
    return value if value is None or unit != "share" else 100 * value


def _name(target: ComparedTarget) -> str:
    return f"{inert(target.mapping) or '–'} → {inert(target.upstream_model)} @ {inert(target.provider)}"


def _point(unit: Any, found: Any) -> str:
    if found.value is None:
        return "–"
    if found.too_few:
        return gettext("too few to tell (%(number)d)") % {"number": found.number}
    ends = " – ".join(value_in_words(unit, end) for end in (found.low, found.high))
    return f"{value_in_words(unit, found.value)} ({ends}; {found.number:,})"
