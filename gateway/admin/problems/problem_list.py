"""Problems: failures of one kind, with a curve, the affected keys, and decisions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gateway.admin.problems import problem_curve
from gateway.admin.requests import request_cells
from gateway.admin.ui.base import EmptyState, ReadOnlyAdmin
from gateway.admin.ui.html_format import NOTHING, Tone, ago, badge, number, number_column, time_column
from gateway.admin.ui.list_filters import requests_url
from gateway.admin.ui.paging import LookAheadList, LookAheadPaginator, page_number
from gateway.admin.ui.sanitize import inert
from gateway.history.access import visible_requests
from gateway.models import Problem, RequestLog
from gateway.models.operation.problem import ProblemState
from gateway.watch import attention
from gateway.watch.problems import decide

LISTED: Final = 20
_TONES: Final[dict[str, Tone]] = {"open": "bad", "resolved": "good", "ignored": "plain"}
# value of a button: the new state, and for how long
DECISIONS: Final[dict[str, tuple[str, timedelta | None, Any]]] = {
    "resolve": (ProblemState.RESOLVED, None, gettext_lazy("Resolve")),
    "ignore-day": (ProblemState.IGNORED, timedelta(days=1), gettext_lazy("Ignore for a day")),
    "ignore-week": (ProblemState.IGNORED, timedelta(days=7), gettext_lazy("Ignore for a week")),
    "ignore": (ProblemState.IGNORED, None, gettext_lazy("Ignore for good")),
    "open": (ProblemState.OPEN, None, gettext_lazy("Open again")),
}


class ProblemStateFilter(admin.SimpleListFilter):
    """Shows open problems unless another state is chosen."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [
            ("back", gettext_lazy("is back")),
            *[(value, label) for value, label in ProblemState.choices if value != ProblemState.OPEN],
            ("all", gettext_lazy("all")),
        ]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": ProblemState.OPEN.label}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == "all":
            return queryset
        if value == "back":
            return queryset.filter(state=ProblemState.OPEN, is_back=True)
        if value in (ProblemState.RESOLVED, ProblemState.IGNORED):
            return queryset.filter(state=value)
        # a problem that is no longer ignored is open, even before it fails again
        over = Q(state=ProblemState.IGNORED, ignored_until__lte=timezone.now())
        return queryset.filter(Q(state=ProblemState.OPEN) | over)


def _cells(row: RequestLog) -> tuple[Any, ...]:
    """time, link, key, models"""
    link = request_cells.link(row)
    return ago(row.started_at), link, inert(row.key_name), request_cells.models(row)


def attention_view(request: HttpRequest) -> HttpResponse:
    """What needs attention now: the part of the dashboard that reloads itself."""
    if not request.user.has_perm("gateway.view_hourlytotal"):
        raise PermissionDenied
    items = attention.items(timezone.now())
    return TemplateResponse(request, "admin/gateway/attention.html", {"items": items})


@admin.register(Problem)
class ProblemAdmin(ReadOnlyAdmin):
    change_list_template = "admin/gateway/problem/change_list.html"
    list_display = (
        "problem", "where", number_column("times", gettext_lazy("times")), "people", "keys",
        time_column("last_at", gettext_lazy("last")), time_column("first_at", gettext_lazy("first")), "curve",
        "state_is",
    )  # fmt: skip
    list_display_links = None
    list_filter = (ProblemStateFilter, "provider", "error_type")
    search_fields = ("message", "sample", "model")
    ordering = ("-last_at", "-pk")
    list_per_page = 25
    show_full_result_count = False
    actions = ("resolve", "ignore", "reopen")
    empty_state = EmptyState(
        gettext_lazy("No open problem"),
        gettext_lazy("Failures of one kind are one problem here, within seconds after they happen."),
    )

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("gateway.change_problem"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.decide_view)
        return [
            path("<int:pk>/decide/", view, name="gateway_problem_decide"),
            path("attention/", self.admin_site.admin_view(attention_view), name="gateway_problem_attention"),
            *super().get_urls(),
        ]

    def get_changelist(self, request: HttpRequest, **_options: Any) -> Any:
        return LookAheadList

    def get_paginator(self, request: HttpRequest, queryset: Any, per_page: int, *_: Any, **__: Any) -> Any:
        return LookAheadPaginator(queryset, per_page, page_number(request.GET.get("p", "")))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, with curve and affected keys of each row (`hits`)."""
        changelist = super().get_changelist_instance(request)
        found = problem_curve.hits([problem.pk for problem in changelist.result_list], timezone.now())
        for problem in changelist.result_list:
            problem.hits = found.get(problem.pk)
        return changelist

    def decide_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST `decision`: one of DECISIONS."""
        problem = self.get_object(request, str(pk))
        decision = request.POST.get("decision", "")
        if problem is None or not self.has_decide_permission(request):
            raise PermissionDenied
        if request.method == "POST" and decision in DECISIONS:
            self._decide(request, [problem], decision)
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        problem = self.get_object(request, object_id)
        if problem is None or not self.has_view_permission(request, problem):
            return super().change_view(request, object_id, form_url, extra_context)
        rows = visible_requests(request.user).filter(~Q(problem_id=None), problem_id=problem.pk)
        requests = requests_url({"problem": str(problem.pk)})
        context = self.page_context(
            request,
            inert(str(problem)),
            problem=problem,
            where=self.where(problem),
            state=self.state_is(problem),
            sample=inert(problem.sample),
            curve=problem_curve.week(problem, timezone.now()),
            hit=problem_curve.whom(problem),
            requests=requests,
            rows=[_cells(row) for row in rows.order_by("-started_at", "-pk")[:LISTED]],
            decisions=[
                (name, label) for name, (state, _for, label) in DECISIONS.items() if state != problem.state
            ],
            may_decide=self.has_decide_permission(request),
        )
        return TemplateResponse(request, "admin/gateway/problem/problem.html", context)

    @admin.action(description=gettext_lazy("Resolve"), permissions=["decide"])
    def resolve(self, request: HttpRequest, queryset: QuerySet[Problem]) -> None:
        self._decide(request, list(queryset), "resolve")

    @admin.action(description=gettext_lazy("Ignore for a day"), permissions=["decide"])
    def ignore(self, request: HttpRequest, queryset: QuerySet[Problem]) -> None:
        self._decide(request, list(queryset), "ignore-day")

    @admin.action(description=gettext_lazy("Open again"), permissions=["decide"])
    def reopen(self, request: HttpRequest, queryset: QuerySet[Problem]) -> None:
        self._decide(request, list(queryset), "open")

    def _decide(self, request: HttpRequest, problems: list[Problem], decision: str) -> None:
        state, length, _label = DECISIONS[decision]
        until = None if length is None else timezone.now() + length
        for problem in problems:
            decide(problem, state, request.user, until)
        said = {
            ProblemState.RESOLVED: ngettext(
                "%(count)d problem is resolved. It comes back with the next failure.",
                "%(count)d problems are resolved. Each comes back with its next failure.",
                len(problems),
            ),
            ProblemState.IGNORED: ngettext(
                "%(count)d problem is ignored.", "%(count)d problems are ignored.", len(problems)
            ),
            ProblemState.OPEN: ngettext(
                "%(count)d problem is open again.", "%(count)d problems are open again.", len(problems)
            ),
        }[ProblemState(state)]
        self.message_user(request, said % {"count": len(problems)}, messages.SUCCESS)

    @admin.display(description=gettext_lazy("problem"), ordering="message")
    def problem(self, problem: Problem) -> SafeString:
        address = reverse(self.page_name("change"), args=[problem.pk])
        message = inert(problem.message)[:120] or _("no message")
        kind = inert(problem.error_type) or _("failure")
        return format_html('<a class="gw-problem" href="{}"><b>{}</b> {}</a>', address, kind, message)

    @admin.display(description=gettext_lazy("where"), ordering="provider")
    def where(self, problem: Problem) -> SafeString:
        provider = inert(problem.provider) or _("before a provider")
        if not problem.model:
            return format_html("<span>{}</span>", provider)
        return format_html('<span>{} <span class="gw-to">{}</span></span>', provider, inert(problem.model))

    @admin.display(description=gettext_lazy("people"))
    def people(self, problem: Any) -> SafeString:
        return number(problem.hits.people or None) if problem.hits else NOTHING

    @admin.display(description=gettext_lazy("keys"))
    def keys(self, problem: Any) -> SafeString:
        return number(problem.hits.keys or None) if problem.hits else NOTHING

    @admin.display(description=gettext_lazy("last 24 hours"))
    def curve(self, problem: Any) -> SafeString:
        return problem_curve.small(problem.hits.hours) if problem.hits else NOTHING

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_is(self, problem: Problem) -> SafeString:
        if problem.state == ProblemState.OPEN and problem.is_back:
            return badge(_("is back"), "bad", _("It was resolved, and has failed since."))
        if problem.state == ProblemState.IGNORED and problem.ignored_until:
            return format_html(
                "<span>{} {}</span>", badge(problem.get_state_display()), ago(problem.ignored_until)
            )
        return badge(problem.get_state_display(), _TONES.get(problem.state, "plain"))
