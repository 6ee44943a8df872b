"""Verdicts on the calls of answers, and making a rule from one."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.requests import request_cells
from gateway.admin.ui.base import EmptyState, ReadOnlyAdmin
from gateway.admin.ui.html_format import NOTHING, Tone, badge, time_column
from gateway.admin.ui.paging import LookAheadList, LookAheadPaginator, page_number
from gateway.admin.ui.sanitize import inert
from gateway.history.access import may_read, note_read, note_reads
from gateway.history.content import bodies
from gateway.models import SafeguardVerdict
from gateway.safeguards.paths import NAMES
from gateway.safeguards.rules import Action, rule_for
from gateway.wire import jsontext
from gateway.wire.message_reader import read_answer

# characters of an action in the list
_LONGEST_SHOWN: Final = 300
_TONES: Final[dict[str, Tone]] = {"allow": "good", "deny": "bad", "undecided": "plain"}


@admin.register(SafeguardVerdict)
class SafeguardVerdictAdmin(ReadOnlyAdmin):
    list_display = (
        time_column("at", gettext_lazy("when")), "tool_shown", "action_shown", "decision_shown", "decided_by",
        "who", "request_shown", "to_rule",
    )  # fmt: skip
    list_display_links = None
    list_filter = ("decision",)
    lookups = ("rule_id",)
    list_select_related = ("log",)
    ordering = ("-at", "-pk")
    show_full_result_count = False
    list_per_page = 50
    empty_state = EmptyState(
        gettext_lazy("No safety verdicts yet"),
        gettext_lazy("What rules and the classifier say of calls that Claude Code asks about in auto mode."),
    )

    def get_changelist(self, request: HttpRequest, **_options: Any) -> Any:
        return LookAheadList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, with what its blocked calls do where the user may read it. Notes the reads."""
        changelist = super().get_changelist_instance(request)
        blocked = [one for one in changelist.result_list if one.decision == "deny"]
        readable = [one for one in blocked if may_read(request.user, one.log)]
        names = dict.fromkeys(one.log.request_id for one in readable)
        note_reads(request.user, names, "safety verdicts")
        calls = {name: _calls(name) for name in names}
        for one in readable:
            one.shown_action = _told(_input_of(calls[one.log.request_id], one.number))
            one.shown_reason = one.reason
        return changelist

    def get_paginator(self, request: HttpRequest, queryset: Any, per_page: int, *_: Any, **__: Any) -> Any:
        return LookAheadPaginator(queryset, per_page, page_number(request.GET.get("p", "")))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.rule_view)
        return [path("<int:pk>/rule/", view, name="gateway_safeguardverdict_rule"), *super().get_urls()]

    def rule_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET: the form of a new rule, filled in from the call, if the user may read it. Notes the read."""
        verdict = SafeguardVerdict.objects.select_related("log").filter(pk=pk).first()
        if verdict is None:
            raise Http404
        row = verdict.log
        if not request.user.has_perm("gateway.add_safeguardrule") or not self.has_view_permission(request):
            raise PermissionDenied
        fields: dict[str, Any] = {
            "decision": "deny" if verdict.decision == "allow" else "allow",
            "tool": verdict.tool,
        }
        if not may_read(request.user, row):
            self.message_user(request, _("You may not read the call."), messages.WARNING)
        else:
            note_read(request.user, row.request_id, "safety verdict")
            call = Action("", verdict.tool, _input_of(_calls(row.request_id), verdict.number))
            pattern = rule_for(fields["decision"], call)
            fields |= pattern
            if call.input and not pattern:
                self.message_user(request, _no_rule(fields["decision"]), messages.WARNING)
        if row.owner_id is not None:
            fields["user"] = row.owner_id
        form = reverse("admin:gateway_safeguardrule_add")
        return HttpResponseRedirect(f"{form}?{urlencode(fields)}")

    @admin.display(description=gettext_lazy("tool"), ordering="tool")
    def tool_shown(self, one: SafeguardVerdict) -> str:
        return inert(one.tool)

    @admin.display(description=gettext_lazy("action"))
    def action_shown(self, one: SafeguardVerdict) -> SafeString:
        """What a blocked call does; nothing for who may not read it, and where contents are not kept."""
        shown = inert(getattr(one, "shown_action", ""))
        return format_html('<span class="gw-mono">{}</span>', shown) if shown else NOTHING

    @admin.display(description=gettext_lazy("decision"), ordering="decision")
    def decision_shown(self, one: SafeguardVerdict) -> SafeString:
        word = badge(one.get_decision_display(), _TONES.get(one.decision, "plain"), one.unavailable)
        reason = inert(getattr(one, "shown_reason", ""))
        return format_html('{} <span class="gw-muted">{}</span>', word, reason) if reason else word

    @admin.display(description=gettext_lazy("decided by"))
    def decided_by(self, one: SafeguardVerdict) -> SafeString:
        return request_cells.decided_by(one) or NOTHING

    @admin.display(description=gettext_lazy("whose"))
    def who(self, one: SafeguardVerdict) -> str:
        return inert(one.log.key_name) or NOTHING

    @admin.display(description=gettext_lazy("request"))
    def request_shown(self, one: SafeguardVerdict) -> SafeString:
        return request_cells.link(one.log)

    @admin.display(description=gettext_lazy("rule"))
    def to_rule(self, one: SafeguardVerdict) -> SafeString:
        address = reverse("admin:gateway_safeguardverdict_rule", args=[one.pk])
        return format_html('<a class="gw-link" href="{}">{}</a>', address, _("Make a rule"))


def _no_rule(decision: str) -> str:
    if decision == "allow":
        return _(
            "No rule can allow exactly this call. Rules allow one simple command of literal words, inside "
            "the sandbox, or files by canonical paths."
        )
    return _("No rule can express exactly this call.")


def _calls(request_id: str) -> list[Any]:
    """The calls of an answer; none if it is not kept."""
    try:
        message = read_answer(bodies.rebuilt(request_id, "returned") or b"").message or {}
    except bodies.UnreadableContent:
        return []
    return [block for block in message.get("content", ()) if block.get("type") == "tool_use"]


def _input_of(calls: list[Any], number: int) -> dict[str, Any]:
    """The input of a call, counted from 1; empty if there is none."""
    given = calls[number - 1].get("input") if number <= len(calls) else None
    return given if isinstance(given, dict) else {}


def _told(given: dict[str, Any]) -> str:
    """What a call does, on one line: its command or file, else its input."""
    for name in ("command", *NAMES):
        if isinstance(given.get(name), str):
            return Truncator(" ".join(given[name].split())).chars(_LONGEST_SHOWN)
    return Truncator(jsontext.dumps_text(given)).chars(_LONGEST_SHOWN) if given else ""
