"""The history: read-only, without counting the table and without reading a body in the list."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gateway.admin.base import ChangeList, ReadOnlyAdmin
from gateway.admin.filters import ProviderFilter, StopReasonFilter
from gateway.admin.inert import inert, readable
from gateway.admin.paging import LookAheadPaginator, page_number
from gateway.audit import bodies
from gateway.audit.recosting import recompute
from gateway.config.loader import load
from gateway.models import Attempt, RequestBody, RequestLog
from gateway.models.request_log import State

_TITLES = {
    "received": "As received from the client",
    "sent": "As sent to the provider",
    "answered": "The provider's answer",
    "returned": "As returned to the client",
}
_DAMAGED = "The stored data is damaged and cannot be shown."
_NOT_IN_THE_LIST = ("ledger", "error_message", "client", "client_address", "agent_id", "parent_agent_id")
_REQUEST_ID_START = "req_"


class HistoryList(ChangeList):
    """The list does not read the long columns."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        return super().get_queryset(request, exclude_parameters).defer(*_NOT_IN_THE_LIST)


@admin.register(RequestLog)
class RequestLogAdmin(ReadOnlyAdmin):
    change_form_template = "admin/gateway/requestlog/change_form.html"
    list_display = (
        "started_at", "key", "asked_model", "goes_to", "provider", "state", "status", "stop_reason",
        "first_byte", "duration", "tokens", "cost_is", "tools", "ledger_count",
    )  # fmt: skip
    actions = ("recompute_costs",)
    list_display_links = ("started_at",)
    list_filter = (
        "state",
        ProviderFilter,
        "streamed",
        StopReasonFilter,
        "started_at",
        "endpoint",
        ("client_key", admin.RelatedFieldListFilter),
    )
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    ordering = ("-started_at", "-pk")
    sortable_by = ("started_at",)
    search_fields = ("request_id",)
    search_help_text = "A request id or its beginning, a session id, or the model that was asked for."
    fieldsets = (
        ("What was asked", {"fields": (
            "request_id", "started_at", "endpoint", "asked_model", "streamed", "key", "client",
            "client_address", "session_id", "agent_id", "parent_agent_id",
        )}),
        ("Where it went", {"fields": (
            "provider", "upstream_model", "mapping", "mapping_pk", "attempts", "upstream_request_id",
        )}),
        ("How it ended", {"fields": (
            "state", "status", "stop_reason", "error_type", "error", "first_byte", "duration", "tools",
        )}),
        ("Tokens", {"fields": (
            "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "thinking_tokens",
            "usage_estimated", "estimated_input_tokens", "cost_is", "price_source",
        )}),
        ("What the conversion changed", {"fields": ("ledger_entries",)}),
    )  # fmt: skip

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        return HistoryList

    def get_paginator(
        self, request: HttpRequest, queryset: Any, per_page: int, *_: Any, **__: Any
    ) -> Paginator:
        return LookAheadPaginator(queryset, per_page, page_number(request.GET.get("p", "")))

    def get_search_results(
        self,
        request: HttpRequest,
        queryset: QuerySet[RequestLog],
        search_term: str,
    ) -> tuple[QuerySet[RequestLog], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.startswith(_REQUEST_ID_START):
            return queryset.filter(request_id__startswith=term), False
        return queryset.filter(Q(session_id=term) | Q(asked_model=term) | Q(upstream_request_id=term)), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = {
            **(extra_context or {}),
            "bodies": self._bodies(request, object_id),
            "tries": _tries(object_id),
        }
        return super().change_view(request, object_id, form_url, context)

    def _bodies(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        """What the page shows of the bodies: `parts` and `headers`, or a `note` why not."""
        if not request.user.has_perm("gateway.view_requestbody"):
            return {"note": "You may not read the contents of requests (permission: view request body)."}
        try:
            body = _stored(object_id)
        except bodies.Unreadable:
            return {"note": _DAMAGED}
        if body is None:
            return {
                "note": "No bodies are kept of this request (CAPTURE_BODIES, or the client key's setting)."
            }
        parts = [_part(body, part) for part in RequestBody.PARTS if body.size(part)]
        headers = inert(json.dumps(body.headers, indent=2, ensure_ascii=False))
        return {"parts": parts, "headers": headers}

    @admin.display(description="client key")
    def key(self, row: RequestLog) -> str:
        return row.key_name or "–"

    @admin.display(description="goes to")
    def goes_to(self, row: RequestLog) -> str:
        return row.upstream_model or "–"

    @admin.display(description="first byte")
    def first_byte(self, row: RequestLog) -> str:
        return _seconds(row.first_byte_ms)

    @admin.display(description="duration")
    def duration(self, row: RequestLog) -> str:
        return _seconds(row.duration_ms)

    @admin.display(description="tokens in + out (cached)")
    def tokens(self, row: RequestLog) -> str:
        if row.input_tokens is None and row.output_tokens is None:
            return "–"
        about = "≈ " if row.usage_estimated else ""
        cached = f" ({row.cache_read_tokens:,})" if row.cache_read_tokens else ""
        return f"{about}{_number(row.input_tokens)} + {_number(row.output_tokens)}{cached}"

    @admin.display(description=gettext_lazy("cost in USD"), ordering="cost")
    def cost_is(self, row: RequestLog) -> str:
        if row.state == State.OPEN:
            return "–"
        if row.cost is None:
            return _("unpriced")
        about = "≈ " if row.usage_estimated and row.cost else ""
        return f"{about}{row.cost:.6f}"

    @admin.action(description=gettext_lazy("Compute the cost again"), permissions=["recompute"])
    def recompute_costs(self, request: HttpRequest, rows: QuerySet[RequestLog]) -> None:
        """With the prices that are set for the time of each request."""
        told = recompute(rows.order_by(), load().prices)
        text = ngettext(
            "%(count)d request has a new cost; %(before)s became %(after)s US dollars.",
            "%(count)d requests have a new cost; %(before)s became %(after)s US dollars.",
            told.changed,
        )
        facts = {"count": told.changed, "before": f"{told.before:.6f}", "after": f"{told.after:.6f}"}
        self.message_user(request, text % facts, messages.SUCCESS)

    def has_recompute_permission(self, request: HttpRequest) -> bool:
        """Who may set prices may apply them."""
        return bool(request.user.has_perm("gateway.change_modelprice"))

    @admin.display(description="tools called")
    def tools(self, row: RequestLog) -> str:
        return ", ".join(str(name) for name in row.tools_called) or "–"

    @admin.display(description="error")
    def error(self, row: RequestLog) -> str:
        return inert(row.error_message) or "–"

    @admin.display(description="changes")
    def ledger_entries(self, row: RequestLog) -> str:
        entries = (entry for entry in row.ledger if isinstance(entry, dict))
        lines = (f"{e.get('code', '')} {e.get('path', '')}: {e.get('note', '')}" for e in entries)
        return inert("\n".join(lines)) or "nothing"


def _tries(object_id: str) -> QuerySet[Attempt]:
    """The attempts of one exchange, in order."""
    if not object_id.isdecimal():
        return Attempt.objects.none()
    return Attempt.objects.filter(log__pk=object_id)


def _stored(object_id: str) -> bodies.StoredBodies | None:
    rows = RequestLog.objects.filter(pk=object_id) if object_id.isdecimal() else RequestLog.objects.none()
    request_id = rows.values_list("request_id", flat=True).first()
    return bodies.stored(request_id) if request_id else None


def _part(body: bodies.StoredBodies, part: str) -> dict[str, Any]:
    try:
        text = readable(body.text(part) or b"")
    except bodies.Unreadable:
        text = _DAMAGED
    return {"title": _TITLES[part], "size": body.size(part), "text": text}


def _seconds(milliseconds: int | None) -> str:
    return "–" if milliseconds is None else f"{milliseconds / 1000:.2f} s"


def _number(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"
