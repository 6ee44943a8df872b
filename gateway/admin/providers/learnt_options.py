"""Learnt options: what the gateway learnt from providers' refusals, to confirm or to reject."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gateway.admin.ui.base import EmptyState, GatewayModelAdmin
from gateway.admin.ui.html_format import Tone, ago, badge, code, number_column, time_column
from gateway.admin.ui.sanitize import inert
from gateway.config.learnt_options import settings_against
from gateway.models import Decision, LearntOption

_TONES: Final[dict[str, Tone]] = {
    Decision.PROPOSED: "warn",
    Decision.CONFIRMED: "good",
    Decision.REFUSED: "plain",
}
_DECISIONS: Final = frozenset({Decision.CONFIRMED, Decision.REFUSED})
_LONGEST_WORDS: Final = 300
_SHORT_WORDS: Final = 90


class Box(NamedTuple):
    """What learntoption/box.html shows about a record."""

    record: LearntOption
    target: str
    words: str


def boxes(records: Iterable[LearntOption]) -> list[Box]:
    """The records as boxes for a page, undecided ones first."""
    found = [
        Box(
            record,
            inert(f"{record.upstream_model} @ {record.provider}"),
            inert(record.words)[:_LONGEST_WORDS],
        )
        for record in records
    ]
    return sorted(found, key=lambda box: box.record.decision != Decision.PROPOSED)


@admin.register(LearntOption)
class LearntOptionAdmin(GatewayModelAdmin):
    """Records that nobody edits. A deleted one may be learnt again."""

    change_form_template = "admin/gateway/learntoption/change_form.html"
    list_display = (
        "option_is",
        "target",
        "changes",
        "said_shortly",
        "decision_is",
        number_column("times", gettext_lazy("times")),
        time_column("last_at", gettext_lazy("last")),
    )
    list_filter = ("decision", "provider")
    search_fields = ("upstream_model", "option", "words")
    ordering = ("-last_at",)
    actions = ("confirm", "refuse")
    empty_state = EmptyState(
        gettext_lazy("Nothing learnt yet"),
        gettext_lazy(
            "When a provider refuses a parameter and the request succeeds with an option changed, the change "
            "is proposed here."
        ),
    )
    fieldsets = (
        (None, {"fields": ("option_is", "target", "changes", "said", "decision_is", "decided")}),
        (gettext_lazy("How often"), {"fields": ("first_at", "last_at", "times")}),
    )
    readonly_fields = ("option_is", "target", "changes", "said", "decision_is", "decided")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or self.has_decide_permission(request)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("gateway.change_learntoption"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.decide_view)
        return [path("<int:pk>/decide/", view, name="gateway_learntoption_decide"), *super().get_urls()]

    def decide_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST `decision`: confirmed or refused. `mapping`: the one whose page had the button."""
        record = self.get_object(request, str(pk))
        decision = request.POST.get("decision", "")
        if record is not None and decision in _DECISIONS and self.has_decide_permission(request):
            self._decide(request, [record], decision)
        mapping = request.POST.get("mapping", "")
        if mapping.isdecimal():
            return HttpResponseRedirect(reverse("admin:gateway_modelmapping_change", args=[mapping]))
        return HttpResponseRedirect(reverse(self.page_name("changelist")))

    @admin.action(description=gettext_lazy("Confirm"), permissions=["decide"])
    def confirm(self, request: HttpRequest, queryset: QuerySet[LearntOption]) -> None:
        self._decide(request, list(queryset), Decision.CONFIRMED)

    @admin.action(description=gettext_lazy("Refuse"), permissions=["decide"])
    def refuse(self, request: HttpRequest, queryset: QuerySet[LearntOption]) -> None:
        self._decide(request, list(queryset), Decision.REFUSED)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        record = options.get("obj")
        if record is not None:
            context["learnt"] = boxes([record])
            context["against"] = settings_against(record)
            context["may_decide"] = self.has_decide_permission(request)
        return super().render_change_form(request, context, *args, **options)

    def _decide(self, request: HttpRequest, records: list[LearntOption], decision: str) -> None:
        for record in records:
            record.decide(decision, request.user)
        if decision == Decision.CONFIRMED:
            text = ngettext(
                "%(number)d option is confirmed: in force in every process within a second.",
                "%(number)d options are confirmed: in force in every process within a second.",
                len(records),
            )
        else:
            text = ngettext(
                "%(number)d option is refused: it is no longer changed, and not proposed again.",
                "%(number)d options are refused: they are no longer changed, and not proposed again.",
                len(records),
            )
        self.message_user(request, text % {"number": len(records)}, messages.SUCCESS)
        if decision == Decision.CONFIRMED:
            for record in records:
                self._warn(request, record)

    def _warn(self, request: HttpRequest, record: LearntOption) -> None:
        owners = settings_against(record)
        if owners:
            text = _("%(option)s is also set on %(owners)s, and that goes before. Change it there.")
            facts = {"option": record.option, "owners": ", ".join(owners)}
            self.message_user(request, text % facts, messages.WARNING)

    @admin.display(description=gettext_lazy("option"), ordering="option")
    def option_is(self, record: LearntOption) -> SafeString:
        return code(record.option)

    @admin.display(description=gettext_lazy("target"), ordering="upstream_model")
    def target(self, record: LearntOption) -> str:
        return inert(_target(record))

    @admin.display(description=gettext_lazy("change"), ordering="new_json")
    def changes(self, record: LearntOption) -> SafeString:
        # one element, since a cell on a small screen lays its elements out side by side
        return format_html("<span>{} → {}</span>", code(record.old_json), code(record.new_json))

    @admin.display(description=gettext_lazy("the provider's words"))
    def said(self, record: LearntOption) -> str:
        return inert(record.words)

    @admin.display(description=gettext_lazy("the provider's words"), ordering="words")
    def said_shortly(self, record: LearntOption) -> SafeString:
        words = inert(record.words)
        return format_html('<span title="{}">{}</span>', words, Truncator(words).chars(_SHORT_WORDS))

    @admin.display(description=gettext_lazy("decision"), ordering="decision")
    def decision_is(self, record: LearntOption) -> SafeString:
        return badge(record.get_decision_display(), _TONES.get(record.decision, "plain"))

    @admin.display(description=gettext_lazy("decided"))
    def decided(self, record: LearntOption) -> SafeString:
        if record.decided_at is None:
            return ago(None)
        by = record.decided_by.get_username() if record.decided_by else _("nobody who is still here")
        return format_html("{} {}", ago(record.decided_at), by)


def _target(record: LearntOption) -> str:
    return f"{record.upstream_model} @ {record.provider}"
