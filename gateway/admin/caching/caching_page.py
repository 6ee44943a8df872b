"""Caching: which requests missed the provider's prompt cache, why, and what that cost."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gateway.admin.caching.miss_words import advice_in_words, reason_words
from gateway.admin.downloads import download, json_download
from gateway.admin.range_page import RangePage
from gateway.admin.ui import time_range
from gateway.admin.ui.list_filters import requests_url
from gateway.admin.ui.sanitize import inert
from gateway.history.caching.report import CachingReport, MissSums, about_value, as_csv, as_values, report
from gateway.models import CacheMiss

_TITLES: Final = {
    "reason": _("By reason"),
    "client": _("By client version"),
    "target": _("By provider"),
    "mapping": _("By mapping"),
}


@admin.register(CacheMiss)
class CachingAdmin(RangePage):
    """The only page about missed caches."""

    ranges: ClassVar = ("24h", "7d", "30d", "month", "last-month")
    default_range = "7d"

    def report(self, request: HttpRequest, span: time_range.TimeRange, form: str) -> HttpResponse:
        since, until = span.bounds(timezone.now())
        name = f"caching-{since:%Y-%m-%d}-to-{until:%Y-%m-%d}.{form}"
        if form == "csv":
            return download(as_csv(since, until).encode("utf-8", "replace"), name)
        found = report(since, until)
        if form == "json":
            return json_download(_value(found), name)
        context = self.range_context(
            request,
            _("Caching"),
            span,
            report=found,
            advice=[(advice_in_words(one), _listed(span, **_about(one))) for one in found.advice],
            tables=[
                (_TITLES[by], [_line(by, sums, found, span) for sums in lines])
                for by, lines in found.by.items()
            ],
            every=_listed(span, missed="any"),
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
    return requests_url({**asked, time_range.PARAMETER: span.token})


def _value(found: CachingReport) -> dict[str, Any]:
    return {
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "input_tokens": found.input_tokens,
        "read_tokens": found.read_tokens,
        "misses": list(as_values(found.since, found.until)),
    }
