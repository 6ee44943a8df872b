"""Sessions of clients: the list, made from their totals, and each as a tree of agents with a timeline."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import PurePath
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from gateway.admin.caching.miss_words import miss_in_words
from gateway.admin.requests.filters import KeyFilter
from gateway.admin.sessions import session_costs, session_page, transcript
from gateway.admin.sessions.subjects import NOTHING, subjects
from gateway.admin.ui.base import ChangeList, EmptyState, ReadOnlyAdmin
from gateway.admin.ui.html_format import ago, dollars, milliseconds, number
from gateway.admin.ui.list_filters import TimeFilter
from gateway.admin.ui.paging import LookAheadList, LookAheadPaginator, page_number
from gateway.admin.ui.sanitize import inert
from gateway.config.snapshot.loader import load
from gateway.history.access import (
    VIEW_ALL,
    may_read_all,
    note_read,
    owns_keys,
    readable_requests,
    visible_requests,
)
from gateway.history.totals import sessions
from gateway.models import CacheMiss, RequestLog, SessionTotal
from gateway.models.history.request_log import class_words

_NOT_SHOWN = ("ledger", "error_message", "client_address", "timeline", "price_source")


class SessionTimeFilter(TimeFilter):
    """When the last request of a session came."""

    moment = "last_at"


@admin.register(SessionTotal)
class SessionAdmin(ReadOnlyAdmin):
    change_list_template = "admin/gateway/sessiontotal/change_list.html"
    list_display = (
        "session", "last", "who", "models_shown", "requests_shown", "length", "agents_shown", "context",
        "tokens", "cost_shown", "failed_shown", "retries_shown",
    )  # fmt: skip
    list_display_links = None
    list_filter = (SessionTimeFilter, KeyFilter)
    filters_in_bar = True
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    ordering = ("-last_at", "session_id")
    sortable_by = (
        "last", "requests_shown", "agents_shown", "cost_shown", "failed_shown", "retries_shown", "tokens",
        "context",
    )  # fmt: skip
    search_fields = ("session_id",)
    search_help_text = _("A session id or its beginning.")
    empty_state = EmptyState(
        _("No sessions yet"),
        _("Claude Code names its session with each request; it appears after the first answer."),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[SessionTotal]:
        """Members see sessions with requests of their own."""
        totals: QuerySet[SessionTotal] = super().get_queryset(request)
        if request.user.has_perm(VIEW_ALL):
            return totals
        return totals.filter(holder=f"{sessions.OWNER}{request.user.pk}")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) or owns_keys(request.user)

    def has_view_permission(self, request: HttpRequest, obj: SessionTotal | None = None) -> bool:
        # get_queryset and _rows limit the sessions and their requests
        return super().has_view_permission(request, obj) or owns_keys(request.user)

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        return LookAheadList

    def get_paginator(
        self, request: HttpRequest, queryset: Any, per_page: int, *_: Any, **__: Any
    ) -> Paginator:
        return LookAheadPaginator(queryset, per_page, page_number(request.GET.get("p", "")))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SessionTotal], search_term: str
    ) -> tuple[QuerySet[SessionTotal], bool]:
        term = search_term.strip()
        begins = Q(session_id__gte=term, session_id__lt=term + "\U0010ffff")
        return (queryset.filter(begins) if term else queryset), False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.transcript_view)
        pages = [path("<path:object_id>/transcript/", view, name="gateway_sessiontotal_transcript")]
        return [*pages, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        session_id = _session_id(object_id)
        holder = request.GET.get("of")
        rows = self._rows(request, session_id, holder)
        turns = _turns(rows)
        if not turns or not self.has_view_permission(request):
            return super().change_view(request, object_id, form_url, extra_context)
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        holders = self._holders(request, session_id)
        here = [total for total in holders if holder in (None, total.holder)]
        names = _owner_names(here)
        # page 1 has the newest
        page = Paginator(turns[::-1], session_page.LISTED).get_page(request.GET.get("p"))
        listed = rows.defer(*_NOT_SHOWN).in_bulk([turn.pk for turn in page])
        agents = session_page.agents(turns, listed)
        by_agent = sessions.by_agent(rows)
        for agent in agents:
            agent.sums = by_agent.get(agent.id, {})
        # looked up once; a thousand lookups take longer than everything else
        address = reverse("admin:gateway_requestlog_change", args=["ROW"])
        subject = next(iter(subjects(request.user, here[:1]).values()), NOTHING)
        _note_misses(listed.values())
        context = self.page_context(
            request,
            subject.title or _("Session"),
            session_id=inert(session_id),
            subject=subject,
            who=[(total, names.get(total.holder, "")) for total in here],
            turns=turns,
            agents=agents,
            numbers=session_page.SessionSums.of(sessions.sums(rows)),
            began=turns[0].started_at,
            ended=turns[-1].started_at,
            prompts=sessions.by_prompt(rows),
            classes=[
                {**numbers, "purpose": class_words(numbers["purpose"])} for numbers in sessions.by_class(rows)
            ],
            models=[
                {**numbers, "name": inert(numbers["upstream_model"] or numbers["provider"]) or _("none")}
                for numbers in sessions.by_model(rows)
            ],
            kinds=session_costs.by_kind(turns, load().prices.price),
            dearest=session_costs.dearest(turns),
            charts=list(filter(None, (session_costs.context_chart(turns), session_costs.cost_chart(turns)))),
            tools=session_page.tools(turns),
            time=session_page.time_spent(turns),
            picture=session_page.session_picture(agents, lambda pk: address.replace("ROW", str(pk))),
            most_drawn=session_page.MOST_DRAWN,
            page=page,
            first_listed=_place(page, page.end_index()),
            last_listed=_place(page, page.start_index()),
            of="" if holder is None else f"of={quote_plus(holder)}&",
            holders=[
                (self._address(total), inert(total.key_name) or _("without a key"), total.holder == holder)
                for total in holders
            ],
            transcript=self._transcript_address(session_id, holder, ""),
        )
        return TemplateResponse(request, "admin/gateway/sessiontotal/session.html", context)

    def transcript_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Everything said in a session, from the first message on; `part` asks for one portion only."""
        session_id = _session_id(object_id)
        holder, agent_id = request.GET.get("of"), request.GET.get("agent", "").replace("\x00", "")
        rows = self._rows(request, session_id, holder)
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied
        found = transcript.segments_of(readable_requests(request.user, rows), agent_id)
        number, start = _part(request.GET.get("part", ""))
        shown = None
        if number < len(found):
            note_read(request.user, found[number].request_id, "transcript")
            shown = transcript.portion(found, number, start)
        here = self._transcript_address(session_id, holder, agent_id)
        context = self.page_context(
            request,
            _("Transcript"),
            session_id=inert(session_id),
            session=reverse(self.page_name("change"), args=[quote(session_id)]),
            of="" if holder is None else f"?{urlencode({'of': holder})}",
            portion=shown,
            segments=len(found),
            more="" if shown is None or shown.following is None else f"{here}&part={_named_part(shown)}",
            readable=bool(found) or may_read_all(request.user),
        )
        if request.GET.get("alone"):
            return TemplateResponse(request, "admin/gateway/sessiontotal/portion.html", context)
        agents = session_page.agents(_turns(rows))
        context["agents"] = [
            (agent.name, self._transcript_address(session_id, holder, agent.id), agent.id == agent_id)
            for agent in agents
        ]
        if shown is not None:
            note_read(request.user, found[-1].request_id, "transcript")
        context["repeated"] = transcript.repeated_calls(found[-1]) if shown is not None else []
        return TemplateResponse(request, "admin/gateway/sessiontotal/transcript.html", context)

    def _transcript_address(self, session_id: str, holder: str | None, agent_id: str) -> str:
        page = reverse("admin:gateway_sessiontotal_transcript", args=[quote(session_id)])
        given = {"agent": agent_id} if holder is None else {"of": holder, "agent": agent_id}
        return f"{page}?{urlencode(given)}"

    def _holders(self, request: HttpRequest, session_id: str) -> list[SessionTotal]:
        """The totals of the session that the user may see, one for each holder that sent its id."""
        return list(self.get_queryset(request).filter(session_id=session_id).order_by("-last_at", "pk"))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> None:
        """None: Django's page is not used, since a session's page is found by the session's id."""

    def _rows(self, request: HttpRequest, session_id: str, holder: str | None) -> QuerySet[Any]:
        """The rows of the session that the user may see, of one holder or (None) of all."""
        rows = visible_requests(request.user).filter(session_id=session_id, endpoint__in=sessions.COUNTED)
        return rows if holder is None else sessions.held(rows).filter(holder=holder.replace("\x00", ""))

    def _address(self, total: SessionTotal) -> str:
        page = reverse(self.page_name("change"), args=[quote(total.session_id)])
        return f"{page}?{urlencode({'of': total.holder})}"

    @admin.display(description=_("session"))
    def session(self, total: Any) -> str:
        address = self._address(total)
        text = inert(total.session_id)
        if total.subject == NOTHING:
            return format_html('<a class="gw-id" href="{}" title="{}">{}</a>', address, text, text[:13])
        return format_html(
            '<a class="gw-title" href="{}">{}</a><span class="gw-muted gw-under" title="{}">{}{}</span>',
            address,
            total.subject.title or text[:13],
            total.subject.folder or text,
            text[:8],
            f" · {PurePath(total.subject.folder).name}" if total.subject.folder else "",
        )

    @admin.display(description=_("last request"), ordering="last_at")
    def last(self, total: SessionTotal) -> str:
        return ago(total.last_at)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, with each row's owner (`owner_name`) and subject (`subject`)."""
        changelist = super().get_changelist_instance(request)
        names = _owner_names(changelist.result_list)
        about = subjects(request.user, changelist.result_list)
        for total in changelist.result_list:
            total.owner_name = names.get(total.holder, "")
            total.subject = about.get(total.pk, NOTHING)
        return changelist

    @admin.display(description=_("who"))
    def who(self, total: Any) -> str:
        names = [inert(name) for name in (total.owner_name, total.key_name) if name]
        if not names:
            return "–"
        under = format_html('<span class="gw-muted gw-under">{}</span>', names[1]) if names[1:] else ""
        return format_html('<span title="{}">{}</span>{}', _("owner and key"), names[0], under)

    @admin.display(description=_("models"))
    def models_shown(self, total: SessionTotal) -> str:
        names = [inert(str(name)) for name in total.upstream_models]
        if not names:
            return "–"
        more = f" +{len(names) - 1}" if names[1:] else ""
        return format_html('<span class="gw-short" title="{}">{}{}</span>', ", ".join(names), names[0], more)

    @admin.display(description=_("largest context"), ordering="context_tokens")
    def context(self, total: SessionTotal) -> str:
        return number(total.context_tokens or None)

    @admin.display(description=_("length"))
    def length(self, total: SessionTotal) -> str:
        return milliseconds((total.last_at - total.first_at).total_seconds() * 1000)

    @admin.display(description=pgettext_lazy("number", "requests"), ordering="requests")
    def requests_shown(self, total: SessionTotal) -> str:
        return number(total.requests)

    @admin.display(description=_("subagents"), ordering="agents")
    def agents_shown(self, total: SessionTotal) -> str:
        return number(total.agents or None)

    @admin.display(description=_("tokens in + out, from the cache"), ordering="input_tokens")
    def tokens(self, total: SessionTotal) -> str:
        whole = total.input_tokens + total.cache_read_tokens + total.cache_write_tokens
        return format_html(
            '<span class="gw-num">{} + {}</span> <span class="gw-cached">{}</span>',
            f"{total.input_tokens:,}",
            f"{total.output_tokens:,}",
            number(100 * total.cache_read_tokens / whole, "%", places=0) if whole else "",
        )

    @admin.display(description=_("cost"), ordering="cost")
    def cost_shown(self, total: SessionTotal) -> str:
        return dollars(total.cost)

    @admin.display(description=_("failed"), ordering="failed")
    def failed_shown(self, total: SessionTotal) -> str:
        return number(total.failed or None)

    @admin.display(description=_("retries"), ordering="retries")
    def retries_shown(self, total: SessionTotal) -> str:
        return number(total.retries or None)


def _session_id(object_id: str) -> str:
    return unquote(object_id).replace("\x00", "\ufffd")


def _owner_names(totals: Iterable[SessionTotal]) -> dict[str, str]:
    """The user names of holders that are people, by holder. One query."""
    owners = {total.holder.removeprefix(sessions.OWNER) for total in totals}
    users = get_user_model()._default_manager.filter(pk__in=[pk for pk in owners if pk.isdecimal()])
    return {f"{sessions.OWNER}{user.pk}": user.get_username() for user in users}


def _part(text: str) -> tuple[int, int]:
    """(segment, message) of `3-40`; the beginning for anything else."""
    segment, _dash, message = text[:20].partition("-")
    if segment.isascii() and segment.isdecimal() and message.isascii() and message.isdecimal():
        return int(segment), int(message)
    return 0, 0


def _named_part(shown: transcript.Portion) -> str:
    assert shown.following is not None
    return "{}-{}".format(*shown.following)


def _note_misses(rows: Collection[Any]) -> None:
    """Set `missed` of each row: why it missed the provider's cache, in words, or ""."""
    found = CacheMiss.objects.filter(log_id__in=[row.request_id for row in rows])
    said = {miss.log_id: miss_in_words(miss) for miss in found}
    for row in rows:
        row.missed = said.get(row.request_id, "")


def _turns(rows: QuerySet[RequestLog]) -> list[session_page.SessionTurn]:
    """The newest turns, oldest first, read without model instances, which would take most of the time."""
    newest = rows.order_by("-started_at", "-pk").values_list(*session_page.SessionTurn._fields)
    return [session_page.SessionTurn._make(values) for values in newest[: session_page.MOST_TURNS]][::-1]


def _place(page: Page, index: int) -> int:
    """The chronological number of the row at `index` (from 1) when the newest is listed first."""
    return page.paginator.count - index + 1
