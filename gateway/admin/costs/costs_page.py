"""Costs: a month or any other span, by owner, group, key, model, provider, client, working folder or day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from itertools import chain
from math import inf
from typing import Any, ClassVar, Final, NamedTuple

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from gateway.admin.costs.budget_chart import budgets
from gateway.admin.downloads import csv_download
from gateway.admin.range_page import RangePage
from gateway.admin.ui import time_range, time_zone
from gateway.admin.ui.charts import COLOURS, Chart, ChartColumn, stacked
from gateway.admin.ui.list_filters import requests_url
from gateway.admin.ui.sanitize import inert
from gateway.history.access import may_read_all
from gateway.history.totals.usage import BY, UsageLine, UsageReport, forecast, usage
from gateway.history.totals.usage_table import COLUMNS, rows_of
from gateway.models import HourlyTotal
from gateway.models.history.hourly_total import OTHER

_TITLES: Final = {
    "owner": _("owner"),
    "group": _("group"),
    "key": _("client key"),
    "model": _("upstream model"),
    "provider": _("provider"),
    "client": _("client"),
    "folder": _("working folder"),
    "day": _("day"),
}
# lines with a colour of their own; the others share one
MOST_STACKED: Final = COLOURS - 1


class _Grain(NamedTuple):
    """What a bar of the chart is, up to so many days of the span; `name`: how its first day is written."""

    most_days: float
    title: Any
    bar_of: Callable[[date], Any]
    name: str


_GRAINS: Final = (
    _Grain(93, _("Cost by day"), lambda day: day, "%Y-%m-%d"),
    _Grain(366, _("Cost by week"), lambda day: day.isocalendar()[:2], "%Y-%m-%d"),
    _Grain(3_660, _("Cost by month"), lambda day: (day.year, day.month), "%Y-%m"),
    _Grain(inf, _("Cost by year"), lambda day: day.year, "%Y"),
)
# the parameter with which the list shows the requests of a line
_LISTED_BY: Final = {
    "owner": "owner",
    "key": "key",
    "model": "upstream_model",
    "provider": "provider",
    "client": "client",
}


@admin.register(HourlyTotal)
class CostsAdmin(RangePage):
    """The only page about the hourly totals."""

    ranges: ClassVar = ("today", "yesterday", "7d", "30d", "month", "last-month")
    default_range = "month"
    formats: ClassVar = ("csv",)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(time_zone.set_zone_view)
        return [path("zone/", view, name="gateway_hourlytotal_zone"), *super().get_urls()]

    def report(self, request: HttpRequest, span: time_range.TimeRange, form: str) -> HttpResponse:
        by = request.GET.get("by", "")
        offered = [name for name in BY if name != "folder" or may_read_all(request.user)]
        by = by if by in offered else "owner"
        now = timezone.now()
        since, until = span.bounds(now)
        report = usage(by, since, until)
        if form == "csv":
            name = f"costs-by-{by}-{report.days[0]}-to-{report.days[-1]}.csv"
            return csv_download(chain([[by, *COLUMNS]], rows_of(report)), name)
        local = since.astimezone(timezone.get_current_timezone())
        context = self.range_context(
            request,
            _("Costs"),
            span,
            report=report,
            by=by,
            by_title=_TITLES[by],
            kinds=[
                (name, title, _query(name, span), name == by)
                for name, title in _TITLES.items()
                if name in offered
            ],
            lines=[_shown(line, report, span) for line in report.lines],
            chart=_chart(report),
            budgets=budgets() if request.user.has_perm("gateway.view_clientkey") else None,
            forecast=forecast(report.whole.cost, local, until, now),
        )
        return TemplateResponse(request, "admin/gateway/costs/costs.html", context)


def _query(by: str, span: time_range.TimeRange) -> str:
    return urlencode({"by": by, time_range.PARAMETER: span.token})


def _shown(line: UsageLine, report: UsageReport, span: time_range.TimeRange) -> dict[str, Any]:
    parameter = _LISTED_BY.get(report.by)
    query = (
        {parameter: line.key, time_range.PARAMETER: span.token}
        if parameter and line.key not in ("", OTHER)
        else None
    )
    share = line.sums.cost / report.whole.cost if report.whole.cost else Decimal(0)
    return {
        "name": inert(line.name) or _("none"),
        "sums": line.sums,
        "share": float(share),
        "url": requests_url(query) if query else "",
    }


def _chart(report: UsageReport) -> Chart | None:
    """Cost by day, over long spans by week, month or year, stacked by the most expensive lines.

    None without costs or for a single day.
    """
    if len(report.days) < 2 or not report.whole.cost:
        return None
    largest = [] if report.by == "day" else report.lines[:MOST_STACKED]
    layers = [(inert(line.name) or str(_("none")), [line.days.get(day, Decimal(0)) for day in report.days])
              for line in largest]  # fmt: skip
    others = [line for line in report.lines if line not in largest]
    if any(line.sums.cost for line in others):
        rest = [sum((line.days.get(day, Decimal(0)) for line in others), Decimal(0)) for day in report.days]
        layers.append((str(_("all") if report.by == "day" else _("others")), rest))
    grain = next(grain for grain in _GRAINS if len(report.days) <= grain.most_days)
    places = _places(report.days, grain)
    columns = []
    for first, behind in zip(places, [*places[1:], len(report.days)], strict=True):
        start, end = report.days[first], report.days[behind - 1]
        listed = requests_url({time_range.PARAMETER: f"{start}..{end}"})
        columns.append(ChartColumn(f"{start:{grain.name}}", listed))
    summed = [(name, _summed(values, places)) for name, values in layers]
    return stacked(grain.title, columns, summed, lambda value: f"${value:,.2f}", "dollars")


def _places(days: Sequence[date], grain: _Grain) -> list[int]:
    """Where in `days` each bar begins."""
    return [at for at, day in enumerate(days) if at == 0 or grain.bar_of(day) != grain.bar_of(days[at - 1])]


def _summed(values: Sequence[Decimal], places: Sequence[int]) -> list[Decimal]:
    ends = [*places[1:], len(values)]
    return [sum(values[first:behind], Decimal(0)) for first, behind in zip(places, ends, strict=True)]
