"""The history: read-only, without counting the table and without reading a body in the list."""

from __future__ import annotations

import json
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from gateway.admin.downloads import download, streamed_download
from gateway.admin.requests import neighbours, replays, reproduce, request_cells, request_search, saved_views
from gateway.admin.requests.exports import FORMATS
from gateway.admin.requests.filters import HISTORY_FILTERS, history_filters
from gateway.admin.requests.live_rows import live_rows, live_words
from gateway.admin.requests.replays import may_replay
from gateway.admin.requests.request_cards import cards
from gateway.admin.requests.request_page import TABS, shown, tab_of
from gateway.admin.ui.base import ChangeList, EmptyState, ReadOnlyAdmin
from gateway.admin.ui.html_format import ago, milliseconds
from gateway.admin.ui.paging import LookAheadList, LookAheadPaginator, page_number
from gateway.config.explain.given_facts import BadFact, facts_of_row
from gateway.config.snapshot.loader import load
from gateway.errors import GatewayError
from gateway.history.access import (
    VIEW_ALL,
    may_read,
    may_read_all,
    may_see_request,
    note_read,
    owns_keys,
    visible_requests,
)
from gateway.history.content import bodies
from gateway.history.totals.recosting import recompute
from gateway.models import RequestBody, RequestLog
from gateway.routing.resolve import resolve

_NOT_IN_THE_LIST: Final = (
    "ledger", "client", "client_address", "parent_agent_id", "timeline", "price_source",
)  # fmt: skip


class HistoryList(LookAheadList):
    """The list does not read the long columns. Its foot says how many rows are known to exist."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = self.result_list.defer(*_NOT_IN_THE_LIST)
        # otherwise the head would show the number of rows looked ahead as the total
        self.full_result_count = self.result_count


@admin.register(RequestLog)
class RequestLogAdmin(ReadOnlyAdmin):
    change_list_template = "admin/gateway/requestlog/change_list.html"
    list_display = (
        "time", "key", "session", "models", "provider_shown", "state_shown", "stop_reason_shown",
        "first_byte", "duration", "tokens", "cost_shown", "tools", "changes",
    )  # fmt: skip
    list_display_links = ("time",)
    actions = ("recompute_costs",)
    list_filter = HISTORY_FILTERS
    filters_in_bar = True
    # exact ranges, for links from other pages
    lookups = ("started_at",)
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    ordering = ("-started_at", "-pk")
    sortable_by = ("time",)
    search_fields = ("request_id",)
    search_help_text = _("key:laptop status:5xx cost:>0.5 tool:Bash, ids, names, or words of a conversation")
    empty_state = EmptyState(
        _("No requests yet"),
        _("Point a client at this gateway: set ANTHROPIC_BASE_URL to its address and ask something."),
    )

    def get_urls(self) -> list[URLPattern]:
        def page(address: str, view: Any, name: str) -> URLPattern:
            full = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
            return path(address, self.admin_site.admin_view(view), name=full)

        return [
            page("export.<str:form>", self.export_view, "export"),
            page("<str:object_id>/part/<str:part>", self.part_view, "part"),
            page("<str:object_id>/fixture.json", self.fixture_view, "fixture"),
            page("<str:object_id>/replay/", self.replay_view, "replay"),
            page("live/", self.live_view, "live"),
            page("counts/", self.counts_view, "counts"),
            page("excerpts/", self.excerpts_view, "excerpts"),
            page("views/", saved_views.save_view, "views"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RequestLog]:
        return visible_requests(request.user, super().get_queryset(request))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) or owns_keys(request.user)

    def has_view_permission(self, request: HttpRequest, obj: RequestLog | None = None) -> bool:
        """The owner of a client key sees the requests that came with it."""
        if super().has_view_permission(request, obj):
            return True
        return owns_keys(request.user) if obj is None else may_see_request(request.user, obj)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return history_filters(request)

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        return HistoryList

    def get_paginator(
        self, request: HttpRequest, queryset: Any, per_page: int, *_: Any, **__: Any
    ) -> Paginator:
        return LookAheadPaginator(queryset, per_page, page_number(request.GET.get("p", "")))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[RequestLog], search_term: str
    ) -> tuple[QuerySet[RequestLog], bool]:
        return request_search.found(queryset, search_term.strip(), request.user), False

    def counts_view(self, request: HttpRequest) -> JsonResponse:
        """`of` (a filter) and the address of the list: how many requests each value of the filter would
        leave, `{"counts": {value: number}, "whole": bool}`, of the newest only when they are many."""
        kinds = {kind.parameter_name: kind for kind in history_filters(request)}
        kind = kinds.get(request.GET.get("of", ""))
        if kind is None or not self.has_view_permission(request):
            raise Http404
        asked = request.GET.copy()
        del asked["of"]
        for name in [name for name, values in asked.lists() if "\x00" in name + "".join(values)]:
            del asked[name]
        rows = neighbours.rows_of(self, request, asked.urlencode(), kind.parameter_name)
        counts, whole = kind.counts(rows)
        return JsonResponse({"counts": counts, "whole": whole})

    def excerpts_view(self, request: HttpRequest) -> JsonResponse:
        """`q`, `pk` (numbers with commas): the words around the hits, `{pk: [before, hit, after]}`."""
        if not self.has_view_permission(request):
            raise Http404
        numbers = [one for one in request.GET.get("pk", "").split(",") if one.isdecimal() and len(one) < 19]
        term = request.GET.get("q", "").replace("\x00", "")
        return JsonResponse(request_search.excerpts(request.user, term, list(map(int, numbers))))

    # --- the page of one request --------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request, row):
            return super().change_view(request, object_id, form_url, extra_context)
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        tab = tab_of(request, row)
        context = self.page_context(
            request,
            f"{_('Request')} {row.request_id}",
            row=row,
            **neighbours.of(self, request, row),
            tab=tab.name,
            tabs=TABS.values(),
            shown=shown(row, request, tab),
            state=request_cells.state(row),
            cards=cards(row, request.user),
            may_read=may_read_all(request.user),
            may_replay=may_replay(request.user),
            session_address=request_cells.session_address(row) if row.session_id else "",
            replays=list(self.get_queryset(request).filter(~Q(replay_of=""), replay_of=row.request_id)[:20]),
        )
        return TemplateResponse(request, "admin/gateway/requestlog/request.html", context)

    def part_view(self, request: HttpRequest, object_id: str, part: str) -> HttpResponse:
        """One stored text, unchanged, as a file."""
        row = self._readable_row(request, object_id)
        if part not in RequestBody.PARTS:
            raise Http404
        try:
            text = bodies.rebuilt(row.request_id, part)
        except bodies.UnreadableContent:
            text = None
        if text is None:
            raise Http404
        note_read(request.user, row.request_id, f"{part} (file)")
        return download(text, f"{row.request_id}.{part}.txt")

    def fixture_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The exchange as a case for `manage.py convert`."""
        row = self._readable_row(request, object_id)
        if not may_read_all(request.user):
            # the case contains the options of the provider
            raise PermissionDenied
        try:
            stored = bodies.stored(row.request_id)
            received = None if stored is None else stored.text("received")
            if stored is None or received is None:
                raise Http404
            note_read(request.user, row.request_id, "fixture")
            answered = stored.text("answered") if row.state == "ok" else None
            case = reproduce.case(
                row.request_id, _profile(row), stored.headers["request"], received, answered
            )
        except (bodies.UnreadableContent, ValueError):
            raise Http404 from None
        text = json.dumps(case, indent=1, ensure_ascii=False).encode("utf-8", "replace")
        return download(text, f"{row.request_id}.json")

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET: choose targets, and the answers side by side. POST: ask the chosen targets."""
        row = self._readable_row(request, object_id)
        if not may_replay(request.user):
            raise PermissionDenied
        # replays of a replay belong to the original request
        seen = self.get_queryset(request)
        first = seen.filter(request_id=row.replay_of).first() if row.replay_of else None
        return replays.page(self, request, first or row)

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """The live tail's page; what it shows comes over the WebSocket."""
        # it shows everybody's requests
        if not request.user.has_perm(VIEW_ALL):
            raise PermissionDenied
        latest = live_rows(self.get_queryset(request))
        context = self.page_context(request, _("Live"), latest=latest, words=live_words())
        return TemplateResponse(request, "admin/gateway/requestlog/live.html", context)

    def _readable_row(self, request: HttpRequest, object_id: str) -> RequestLog:
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request, row) or not may_read(request.user, row):
            raise Http404
        return row

    # --- export -------------------------------------------------------------------

    def export_view(self, request: HttpRequest, form: str) -> HttpResponseBase:
        """The filtered list as a file, streamed."""
        if form not in FORMATS or not self.has_view_permission(request):
            raise Http404
        return streamed_download(FORMATS[form](self._filtered(request)), f"requests.{form}")

    def _filtered(self, request: HttpRequest) -> QuerySet[RequestLog]:
        """The rows of the list; like the list it ignores filters without a meaning."""
        given = request.GET.copy()
        for name in [name for name, values in given.lists() if "\x00" in name + "".join(values)]:
            del given[name]
        for asked in (given, QueryDict()):
            request.GET = asked  # type: ignore[assignment]
            try:
                rows: QuerySet[RequestLog] = self.get_changelist_instance(request).queryset
            except IncorrectLookupParameters:
                continue
            return rows
        return self.get_queryset(request)

    @admin.action(description=_("Compute the cost again"), permissions=["recompute"])
    def recompute_costs(self, request: HttpRequest, rows: QuerySet[RequestLog]) -> None:
        """Recompute with the prices set for the time of each request."""
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

    # --- columns ------------------------------------------------------------------

    @admin.display(description=_("time"), ordering="started_at")
    def time(self, row: RequestLog) -> str:
        return ago(row.started_at)

    @admin.display(description=_("key"))
    def key(self, row: RequestLog) -> str:
        return request_cells.key(row)

    @admin.display(description=_("session"))
    def session(self, row: RequestLog) -> str:
        return request_cells.session(row)

    @admin.display(description=_("asked model → upstream model"))
    def models(self, row: RequestLog) -> str:
        return request_cells.models(row)

    @admin.display(description=_("provider"))
    def provider_shown(self, row: RequestLog) -> str:
        return request_cells.short(row.provider)

    @admin.display(description=_("status"))
    def state_shown(self, row: RequestLog) -> str:
        return request_cells.state(row)

    @admin.display(description=_("stop reason"))
    def stop_reason_shown(self, row: RequestLog) -> str:
        return request_cells.short(row.stop_reason)

    @admin.display(description=_("first byte"))
    def first_byte(self, row: RequestLog) -> str:
        return milliseconds(row.first_byte_ms)

    @admin.display(description=_("duration"))
    def duration(self, row: RequestLog) -> str:
        return milliseconds(row.duration_ms)

    @admin.display(description=_("tokens in + out (cached)"))
    def tokens(self, row: RequestLog) -> str:
        return request_cells.tokens(row)

    @admin.display(description=_("cost"))
    def cost_shown(self, row: RequestLog) -> str:
        return request_cells.cost(row)

    @admin.display(description=_("tools"))
    def tools(self, row: RequestLog) -> str:
        return request_cells.tools(row)

    @admin.display(description=_("ledger"))
    def changes(self, row: RequestLog) -> str:
        return request_cells.ledger(row)


def _profile(row: RequestLog) -> Any:
    """The profile with which the request would be converted today; None: it leads nowhere now."""
    try:
        snapshot = load()
        routes = resolve(snapshot, row.asked_model, facts_of_row(row, snapshot)).routes
    except (GatewayError, BadFact):
        return None
    same = (route for route in routes if route.provider.slug == row.provider)
    return next(same, routes[0]).profile
