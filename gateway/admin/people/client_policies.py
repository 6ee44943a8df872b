"""Policies of signed-in clients, their result for a person, and who runs which."""

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
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.ui.base import EmptyState, GatewayModelAdmin
from gateway.admin.ui.fields import JSONObjectField
from gateway.admin.ui.html_format import Tone, ago, badge
from gateway.client_protocol import sign_in
from gateway.client_protocol.managed_settings import warnings_of
from gateway.client_protocol.novelties import version_of
from gateway.client_protocol.purpose import CLIENT
from gateway.client_protocol.settings_shapes import MACHINE_ONLY
from gateway.client_protocol.status_line import setting
from gateway.client_protocol.tried_versions import Trial, trial_of
from gateway.conf import gateway_conf
from gateway.config.client_policies import mistaken, policy_of, usual_key
from gateway.config.snapshot.loader import load
from gateway.config.startup.client_setup_text import base_url
from gateway.config.suggested_settings import suggested
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
    fields = ("name", "group", "user", "position", "enabled", "lists_models", "settings", "note")
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
        """GET ?user=NAME: the merged policy of a person, and who runs which checksum."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = request.GET.get("user", "").strip()
        person = get_user_model().objects.filter(username=asked).first() if asked else None
        snapshot, now = load(), timezone.now()
        found = policy_of(snapshot, person.pk, now) if person is not None else None
        address = base_url(gateway_conf(), request.build_absolute_uri("/"))
        context = self.page_context(
            request,
            _("What a person gets"),
            asked=asked,
            person=person,
            checksum=found.checksum if found else "",
            settings=json.dumps(found.settings, indent=2, ensure_ascii=False) if found else "",
            seen=_seen(),
            versions=_versions(),
            mistaken=[
                _("Clients do not get all of the policy %(name)s: %(problem)s. Correct it and save it.") % one
                for one in mistaken()
            ],
            suggested=json.dumps(
                suggested(snapshot, usual_key(snapshot, None if person is None else person.pk, now), now),
                indent=2,
                ensure_ascii=False,
            ),
            status_line=setting(address),
            sign_in_settings=sign_in.settings(address) if gateway_conf().sign_in else "",
        )
        return TemplateResponse(request, "admin/gateway/managedpolicy/result.html", context)


_TRIALS: Final[dict[Trial, tuple[Any, Tone]]] = {
    Trial.PASSED: (gettext_lazy("tried"), "good"),
    Trial.FAILED: (gettext_lazy("fails"), "bad"),
    Trial.NEVER: (gettext_lazy("never tried"), "warn"),
}


def trial_badge(version: str) -> SafeString:
    """How a client's version fared in the tests with this gateway."""
    words, tone = _TRIALS[trial_of(version)]
    return badge(words, tone)


def _versions() -> list[dict[str, Any]]:
    """Who ran which version of the client in the last day, and how it fared in the tests."""
    rows = RequestLog.objects.filter(started_at__gte=timezone.now() - _REPORTED, client__startswith=CLIENT)
    counted: Any = rows.order_by().values("key_name", "client").annotate(last=Max("started_at"))
    latest: dict[tuple[str, str], Any] = {}
    for one in counted.order_by("-last")[:_MOST]:
        latest.setdefault((one["key_name"], version_of(one["client"])), one["last"])
    return [
        {"key_name": name, "client": version, "trial": trial_badge(version), "last": ago(last)}
        for (name, version), last in latest.items()
    ]


def _seen() -> list[dict[str, Any]]:
    """Who ran which policy with which client in the last day, as reported by the clients."""
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
