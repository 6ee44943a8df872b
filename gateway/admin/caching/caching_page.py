"""Caching: which requests were not read from the provider's prompt cache, why, and what that cost."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gateway.admin.caching.miss_words import advice_in_words, reason_words
from gateway.admin.ui import time_range, time_zone
from gateway.admin.ui.base import ReadOnlyAdmin
from gateway.admin.ui.sanitize import inert
from gateway.history.caching.report import CachingReport, MissSums, about_value, as_csv, as_values, report
from gateway.models import CacheMiss
from gateway.wire import jsontext

RANGES: Final = ("24h", "7d", "30d", "month", "last-month")
DEFAULT: Final = "7d"
_TITLES: Final = {
    "reason": _("By reason"),
    "client": _("By client version"),
    "target": _("By provider"),
    "mapping": _("By mapping"),
}


@admin.register(CacheMiss)
class CachingAdmin(ReadOnlyAdmin):
    """The misses have one page, and it is this one."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        span = time_range.chosen(request, DEFAULT)
        assert span is not None
        since, until = span.bounds(timezone.now())
        asked = request.GET.get("format")
        if asked == "csv":
            text = as_csv(since, until).encode("utf-8", "replace")
            return _file(text, f"{since:%Y-%m-%d}-to-{until:%Y-%m-%d}.csv", "text/csv; charset=utf-8")
        found = report(since, until)
        if asked == "json":
            return _file(_json(found), f"{since:%Y-%m-%d}-to-{until:%Y-%m-%d}.json", "application/json")
        context = self.own_page_context(
            request,
            _("Caching"),
            report=found,
            span=span,
            ranges=time_range.choices(request, RANGES, DEFAULT),
            advice=[(advice_in_words(one), _listed(span, **_about(one))) for one in found.advice],
            tables=[
                (_TITLES[by], [_line(by, sums, found, span) for sums in lines])
                for by, lines in found.by.items()
            ],
            every=_listed(span, missed="any"),
            files=[
                (title, f"{span.query()}&format={name}") for name, title in (("csv", "CSV"), ("json", "JSON"))
            ],
            zone=str(timezone.get_current_timezone()),
            zones=time_zone.names(),
        )
        return TemplateResponse(request, "admin/gateway/caching/caching.html", context)


def _line(by: str, sums: MissSums, found: CachingReport, span: time_range.TimeRange) -> dict[str, Any]:
    share = sums.tokens / found.whole.tokens if found.whole.tokens else 0.0
    name, asked = _NAMED[by](*sums.key)
    return {"name": name, "sums": sums, "share": share, "url": _listed(span, **asked)}


def _by_reason(culprit: str, item: str, reason: str) -> tuple[str, dict[str, str]]:
    return reason_words(culprit, item, reason), {"missed": about_value(culprit, item, reason)}


def _by_client(client: str) -> tuple[str, dict[str, str]]:
    return inert(client) or gettext("unknown"), {"missed": "any", "client": client}


def _by_target(provider: str, model: str) -> tuple[str, dict[str, str]]:
    named = {"provider": provider, "upstream_model": model}
    return f"{inert(model)} @ {inert(provider)}", {"missed": "any", **named}


def _by_mapping(mapping: str) -> tuple[str, dict[str, str]]:
    return inert(mapping) or gettext("none"), {"missed": "any", "mapping": mapping}


_NAMED: Final[dict[str, Any]] = {
    "reason": _by_reason, "client": _by_client, "target": _by_target, "mapping": _by_mapping,
}  # fmt: skip


def _about(one: Any) -> dict[str, str]:
    culprit, item, reason = one.about
    return {"missed": about_value(culprit, item, reason, one.source)}


def _listed(span: time_range.TimeRange, **asked: str) -> str:
    """The list of requests, of this range."""
    query = {name: value for name, value in asked.items() if value}
    query[time_range.PARAMETER] = span.token
    return f"{reverse('admin:gateway_requestlog_changelist')}?{urlencode(query)}"


def _json(found: CachingReport) -> bytes:
    return jsontext.dumps(
        {
            "since": found.since.isoformat(),
            "until": found.until.isoformat(),
            "input_tokens": found.input_tokens,
            "read_tokens": found.read_tokens,
            "misses": list(as_values(found.since, found.until)),
        }
    )


def _file(body: bytes, name: str, content_type: str) -> HttpResponse:
    return HttpResponse(
        body,
        content_type=content_type,
        headers={
            "Content-Disposition": f'attachment; filename="caching-{name}"',
            "X-Content-Type-Options": "nosniff",
        },
    )
