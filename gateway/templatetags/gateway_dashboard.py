"""Template tags: the dashboard on the admin's index."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django import template
from django.urls import get_script_prefix
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from gateway.admin.home import dashboard_charts
from gateway.admin.providers.provider_tracker import trackers
from gateway.admin.ui import time_range, time_zone
from gateway.conf import gateway_conf
from gateway.config.startup.client_setup_text import base_url
from gateway.history.totals.dashboard import Dashboard, Point, dashboard, points
from gateway.models import RequestLog
from gateway.watch import attention

register = template.Library()

# the ranges that stand above the numbers
_RANGES: Final = ("1h", "24h", "7d", "30d", "today", "yesterday", "month", "last-month")
_DEFAULT: Final = "24h"
# the parameter that asks for the span before
_COMPARE: Final = "compare"
_HOUR: Final = timedelta(hours=1)
# languages count large numbers differently: from the largest down, each with its unit
_SCALES: Final = pgettext_lazy("scales of numbers", "1000000000 G, 1000000 M, 1000 k")


@register.filter
def under_public_path(path: str) -> str:
    """A path of the site as its reader's browser has to ask for it (`PUBLIC_URL` may have a sub-path)."""
    return get_script_prefix().rstrip("/") + path


@register.inclusion_tag("admin/gateway/dashboard.html", takes_context=True)
def gateway_dashboard(context: dict[str, Any]) -> dict[str, Any]:
    """Numbers, charts and what needs attention, for those who may see the totals."""
    request = context["request"]
    if not request.user.has_perm("gateway.view_hourlytotal"):
        return {"allowed": False}
    now = timezone.now()
    span = time_range.chosen(request, _DEFAULT)
    assert span is not None
    numbers = dashboard(*span.bounds(now))
    items = attention.items(now)
    found: dict[str, Any] = {
        "allowed": True,
        "request": request,
        "csrf_token": context.get("csrf_token"),
        "ranges": time_range.choices(request, _RANGES, _DEFAULT),
        "span": span,
        "zone": str(timezone.get_current_timezone()),
        "zones": time_zone.names(),
        "fine": numbers.each < _HOUR,
        "since": numbers.since,
        "items": items,
        "numbers": numbers,
        "whole": numbers.whole,
    }
    if not numbers.whole.requests:
        # an empty range is no empty history
        address = base_url(gateway_conf(), request.build_absolute_uri("/"))
        return {**found, "no_history": not RequestLog.objects.exists(), "url": address}
    comparing = request.GET.get(_COMPARE) == "1"
    since, until = span.bounds(now)
    before = points(since - (until - since), since) if comparing else None
    names = [_time(point, numbers) for point in numbers.points]
    charts = dashboard_charts.charts(numbers, names, before)
    return {
        **found,
        "charts": charts,
        "comparing": comparing,
        "compare_query": _compare_query(request, not comparing),
        "tables": [
            (_("By model"), _("Upstream model"), "upstream_model", numbers.models),
            (_("By provider"), _("Provider"), "provider", numbers.providers),
            (_("By client key"), _("Client key"), "key", numbers.keys),
            (_("By purpose"), _("Purpose"), "class", numbers.classes),
        ],
        "trackers": trackers(numbers.health, lambda point: _time(point, numbers)),
        "ledger_total": sum(number for _code, number in numbers.ledger),
    }


def _compare_query(request: Any, on: bool) -> str:
    """The page's own address with the span before beside this one, or without it."""
    rest = request.GET.copy()
    rest.pop(_COMPARE, None)
    if on:
        rest[_COMPARE] = "1"
    return str(rest.urlencode())


@register.filter
def seconds(milliseconds: float | None) -> str:
    """1234.5 -> "1.23 s", None -> a dash."""
    return "–" if milliseconds is None else f"{milliseconds / 1000:.2f} {_('s')}"


@register.filter
def dollars(amount: Any) -> str:
    """US dollars, with as many digits as small sums need."""
    if not amount:
        return "$0"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"


@register.filter
def short(number: int | None) -> str:
    """1234567 -> "1.2 M": exact numbers stand in the title."""
    if number is None:
        return "–"
    for scale in str(_SCALES).split(", "):
        size, unit = scale.split()
        if number >= int(size):
            return f"{number / int(size):.1f} {unit}"
    return str(number)


@register.filter
def grouped(number: int) -> str:
    """1234567 -> "1,234,567"."""
    return f"{number:,}"


@register.filter
def percent(share: float | None) -> str:
    """0.0123 -> "1.2 %"."""
    return "–" if share is None else f"{share * 100:.1f} %"


def _time(point: Point, found: Dashboard) -> str:
    at: datetime = timezone.localtime(point.at)
    if found.each >= timedelta(days=7):
        return f"{at:%Y-%m-%d}"
    if found.each >= timedelta(days=1):
        return date_format(at, "MONTH_DAY_FORMAT")
    several_days = found.each > _HOUR or (found.each == _HOUR and len(found.points) > 26)
    return date_format(at, "j N H:i") if several_days else f"{at:%H:%M}"
