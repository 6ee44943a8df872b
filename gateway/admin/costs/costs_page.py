"""Costs: a month or any other span, by owner, group, key, model, provider or day."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from gateway.admin.costs.budget_chart import budgets
from gateway.admin.ui import time_range, time_zone
from gateway.admin.ui.base import ReadOnlyAdmin
from gateway.admin.ui.charts import COLOURS, Chart, ChartColumn, stacked
from gateway.admin.ui.sanitize import inert
from gateway.history.totals.usage import BY, UsageLine, UsageReport, forecast, usage
from gateway.history.totals.usage_table import COLUMNS, rows_of
from gateway.models import HourlyTotal

RANGES: Final = ("today", "yesterday", "7d", "30d", "month", "last-month")
DEFAULT: Final = "month"
_TITLES: Final = {
    "owner": _("owner"),
    "group": _("group"),
    "key": _("client key"),
    "model": _("upstream model"),
    "provider": _("provider"),
    "day": _("day"),
}
# lines that have a colour of their own; the rest is one
MOST_STACKED: Final = COLOURS - 1
# where the requests of a line are listed: the parameter of the list
_LISTED_BY: Final = {
    "owner": "owner",
    "key": "key",
    "model": "upstream_model",
    "provider": "provider",
}


@admin.register(HourlyTotal)
class CostsAdmin(ReadOnlyAdmin):
    """The totals have one page, and it is this one."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(time_zone.set_zone_view)
        return [path("zone/", view, name="gateway_hourlytotal_zone"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        by = request.GET.get("by", "")
        by = by if by in BY else "owner"
        span = time_range.chosen(request, DEFAULT)
        assert span is not None
        now = timezone.now()
        since, until = span.bounds(now)
        report = usage(by, since, until)
        if request.GET.get("format") == "csv":
            return _csv(report)
        local = since.astimezone(timezone.get_current_timezone())
        context = self.own_page_context(
            request,
            _("Costs"),
            report=report,
            span=span,
            by=by,
            by_title=_TITLES[by],
            ranges=time_range.choices(request, RANGES, DEFAULT),
            kinds=[(name, title, _query(name, span), name == by) for name, title in _TITLES.items()],
            lines=[_shown(line, report, span) for line in report.lines],
            chart=_chart(report),
            budgets=budgets() if request.user.has_perm("gateway.view_clientkey") else None,
            forecast=forecast(report.whole.cost, local, until, now),
            csv_query=f"{_query(by, span)}&format=csv",
            zone=str(timezone.get_current_timezone()),
            zones=time_zone.names(),
        )
        return TemplateResponse(request, "admin/gateway/costs/costs.html", context)


def _query(by: str, span: time_range.TimeRange) -> str:
    return urlencode({"by": by, time_range.PARAMETER: span.token})


def _shown(line: UsageLine, report: UsageReport, span: time_range.TimeRange) -> dict[str, Any]:
    parameter = _LISTED_BY.get(report.by)
    address = reverse("admin:gateway_requestlog_changelist")
    query = {parameter: line.key, time_range.PARAMETER: span.token} if parameter and line.key else None
    share = line.sums.cost / report.whole.cost if report.whole.cost else Decimal(0)
    return {
        "name": inert(line.name) or _("none"),
        "sums": line.sums,
        "share": float(share),
        "url": f"{address}?{urlencode(query)}" if query else "",
    }


def _chart(report: UsageReport) -> Chart | None:
    """Cost by day, stacked by the dearest lines; None for a report by days of one line."""
    if len(report.days) < 2 or not report.whole.cost:
        return None
    dearest = [] if report.by == "day" else report.lines[:MOST_STACKED]
    layers = [(inert(line.name) or str(_("none")), [line.days.get(day, Decimal(0)) for day in report.days])
              for line in dearest]  # fmt: skip
    others = [line for line in report.lines if line not in dearest]
    if any(line.sums.cost for line in others):
        rest = [sum((line.days.get(day, Decimal(0)) for line in others), Decimal(0)) for day in report.days]
        layers.append((str(_("all") if report.by == "day" else _("others")), rest))
    listed = reverse("admin:gateway_requestlog_changelist")
    columns = [
        ChartColumn(day.isoformat(), f"{listed}?{urlencode({time_range.PARAMETER: f'{day}..{day}'})}")
        for day in report.days
    ]
    return stacked(_("Cost by day"), columns, layers, lambda value: f"${value:,.2f}", "dollars")


def _csv(report: UsageReport) -> HttpResponse:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([report.by, *COLUMNS])
    writer.writerows(rows_of(report))
    name = f"costs-by-{report.by}-{report.days[0]}-to-{report.days[-1]}.csv"
    return HttpResponse(
        text.getvalue().encode("utf-8", "replace"),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        },
    )
