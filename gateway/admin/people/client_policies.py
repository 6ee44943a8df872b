"""Policies of signed-in clients, what they come to for a person, and who runs which."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.ui.base import EmptyState, GatewayModelAdmin
from gateway.admin.ui.fields import JSONObjectField
from gateway.admin.ui.html_format import ago
from gateway.client_protocol.managed_settings import MACHINE_ONLY, warnings_of
from gateway.client_protocol.novelties import version_of
from gateway.config.client_policies import policy_of
from gateway.config.snapshot.loader import load
from gateway.models import ManagedPolicy, RequestLog

_REPORTED: Final = timedelta(days=1)
_MOST: Final = 200


class ManagedPolicyForm(forms.ModelForm):
    settings = JSONObjectField(
        label=gettext_lazy("Settings"),
        help_text=gettext_lazy(
            "A settings file of Claude Code, as JSON. docs/claude-code.md names useful keys."
        ),
    )

    class Meta:
        model = ManagedPolicy
        fields = "__all__"  # noqa: DJ007 - the admin's fields choose


@admin.register(ManagedPolicy)
class ManagedPolicyAdmin(GatewayModelAdmin):
    form = ManagedPolicyForm
    change_list_template = "admin/gateway/managedpolicy/change_list.html"
    list_display = ("name", "group", "user", "position", "enabled", "note")
    list_select_related = ("group", "user")
    list_filter = ("enabled",)
    search_fields = ("name", "note")
    fields = ("name", "group", "user", "position", "enabled", "settings", "note")
    autocomplete_fields = ("user",)
    empty_state = EmptyState(
        gettext_lazy("No policies yet"),
        gettext_lazy(
            "A policy is a settings file that Claude Code takes from the gateway at which somebody has "
            "signed in. Without one, clients keep their own settings."
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.result_view)
        return [path("result/", view, name="gateway_managedpolicy_result"), *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: ManagedPolicy, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        for name in warnings_of(obj.settings):
            text = (
                _("%(name)s works only in the policy file of the machine itself.")
                if name in MACHINE_ONLY
                else _("%(name)s is not known to have an effect in a policy.")
            )
            self.message_user(request, text % {"name": name}, messages.WARNING)

    def result_view(self, request: HttpRequest) -> HttpResponse:
        """GET ?user=NAME: what the policies come to for a person; and who runs which checksum."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = request.GET.get("user", "").strip()
        person = get_user_model().objects.filter(username=asked).first() if asked else None
        found = policy_of(load(), person.pk) if person is not None else None
        context = self.page_context(
            request,
            _("What a person gets"),
            asked=asked,
            person=person,
            checksum=found.checksum if found else "",
            settings=json.dumps(found.settings, indent=2, ensure_ascii=False) if found else "",
            seen=_seen(),
        )
        return TemplateResponse(request, "admin/gateway/managedpolicy/result.html", context)


def _seen() -> list[dict[str, Any]]:
    """Who ran which policy with which client in the last day, as the clients say it."""
    rows = RequestLog.objects.filter(started_at__gte=timezone.now() - _REPORTED).exclude(settings_checksum="")
    found = rows.order_by().values("key_name", "client", "settings_checksum")
    counted: Any = found.annotate(last=Max("started_at"), number=Count("pk")).order_by("-last")[:_MOST]
    return [
        {
            **one,
            "client": version_of(one["client"]),
            "checksum": one["settings_checksum"],
            "last": ago(one["last"]),
        }
        for one in counted
    ]
