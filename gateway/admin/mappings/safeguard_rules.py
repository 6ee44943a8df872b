"""Rules of auto mode's safety check, a tester for them, and a button that adds the safe ones."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.ui.base import EmptyState, GatewayModelAdmin
from gateway.client_protocol.safeguards import Folders
from gateway.config.snapshot.people import safeguard_rules
from gateway.models import SafeguardRule, SafeguardVerdict
from gateway.safeguards.rules import SAFE, Action, ActionRule, can_fit, ruling


@admin.register(SafeguardRule)
class SafeguardRuleAdmin(GatewayModelAdmin):
    change_list_template = "admin/gateway/safeguardrule/change_list.html"
    list_display = ("__str__", "user", "group", "explanation", "position", "enabled", "uses")
    list_select_related = ("user", "group")
    list_filter = ("decision", "enabled")
    search_fields = ("tool", "command", "path", "explanation")
    autocomplete_fields = ("user",)
    ordering = ("position", "pk")
    empty_state = EmptyState(
        gettext_lazy("No safeguard rules yet"),
        gettext_lazy(
            "Without rules and without a mapping for safeguards Claude Code checks the actions of auto mode "
            "by itself. Deny wins over allow."
        ),
    )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, with the number of calls that each rule has decided."""
        changelist = super().get_changelist_instance(request)
        counted = dict(
            SafeguardVerdict.objects.order_by()
            .filter(rule_id__in=[rule.pk for rule in changelist.result_list])
            .values_list("rule_id")
            .annotate(times=Count("pk"))
        )
        for rule in changelist.result_list:
            rule.times = counted.get(rule.pk, 0)
        return changelist

    @admin.display(description=gettext_lazy("calls decided"))
    def uses(self, rule: SafeguardRule) -> SafeString:
        """The number of calls it decided, as far back as the history goes, linked to them."""
        address = f"{reverse('admin:gateway_safeguardverdict_changelist')}?rule_id={rule.pk}"
        return format_html('<a class="gw-link" href="{}">{}</a>', address, getattr(rule, "times", 0))

    def save_model(self, request: HttpRequest, obj: SafeguardRule, form: Any, change: bool) -> None:
        """Save it, and warn if no action can ever fit it."""
        super().save_model(request, obj, form, change)
        if not can_fit(ActionRule(**obj.matching())):
            words = _(
                "This rule never fits: a command that is allowed is one simple command of literal words, and "
                "a path is absolute, or begins with {cwd}, without ~, .. and doubled slashes."
            )
            self.message_user(request, words, messages.WARNING)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("test/", view(self.test_view), name="gateway_safeguardrule_test"),
            path("safe/", view(self.safe_view), name="gateway_safeguardrule_safe"),
            *super().get_urls(),
        ]

    def test_view(self, request: HttpRequest) -> HttpResponse:
        """GET ?tool=NAME&input=TEXT&cwd=PATH&person=NAME: which rule decides an action of a person.

        TEXT is a command or JSON. Without a person, rules of persons and groups do not count.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        tool, text, cwd, name = (
            request.GET.get(one, "").strip() for one in ("tool", "input", "cwd", "person")
        )
        context = self.page_context(
            request, _("Try an action"), tool=tool or "Bash", text=text, cwd=cwd, person=name
        )
        person = get_user_model().objects.filter(username=name).first() if name else None
        if name and person is None:
            context["unknown_person"] = True
        elif text:
            found = ruling(
                Action("", tool or "Bash", _input(text)),
                safeguard_rules(),
                folders=Folders(cwd, (cwd,)),
                owner=None if person is None else person.pk,
                groups=frozenset(person.groups.values_list("pk", flat=True)) if person else frozenset(),
            )
            rule = SafeguardRule.objects.filter(pk=found.rule.id).first() if found.rule else None
            context |= {"decision": SafeguardRule.Decision(found.decision).label, "rule": rule}
        return TemplateResponse(request, "admin/gateway/safeguardrule/test.html", context)

    def safe_view(self, request: HttpRequest) -> HttpResponse:
        """POST: add the safe rules that are missing."""
        if request.method != "POST" or not self.has_add_permission(request):
            raise PermissionDenied
        made = 0
        for fields in SAFE:
            wanted = {"decision": "allow", "command": "", "path": "", "user": None, "group": None, **fields}
            if not SafeguardRule.objects.filter(**wanted).exists():
                SafeguardRule.objects.create(position=1000, **wanted)
                made += 1
        self.message_user(request, _("%(count)d rules were added.") % {"count": made}, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:gateway_safeguardrule_changelist"))


def _input(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    return given if isinstance(given, dict) else {"command": text}
