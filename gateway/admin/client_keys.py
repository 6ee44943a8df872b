"""Client keys: issued once, shown once, revoked instead of deleted."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from gateway.admin.base import GatewayModelAdmin
from gateway.admin.fields import LinesField
from gateway.config.launch import claude_code_lines
from gateway.models import ClientKey, Origin, RequestLog

# where the key waits between saving and the one page that shows it: on the request alone
_ISSUED = "_issued_client_key"


class ClientKeyForm(forms.ModelForm):
    allowed_models = LinesField(
        help_text="One a line: names or patterns with * of the models it may ask for. Empty: all."
    )

    class Meta:
        model = ClientKey
        fields = ("name", "owner", "expires_at", "allowed_models", "capture")


@admin.register(ClientKey)
class ClientKeyAdmin(GatewayModelAdmin):
    form = ClientKeyForm
    list_display = ("name", "shown", "owner", "state_now", "expires_at", "last_used", "created", "origin")
    list_filter = ("origin", "revoked_at", "expires_at")
    search_fields = ("name", "owner", "=last_four", "^prefix")
    actions = ("revoke",)
    readonly_fields = ("shown", "state_now", "created", "last_used", "revoked_at", "origin")

    def get_fieldsets(self, request: HttpRequest, obj: ClientKey | None = None) -> Any:
        fields: tuple[str, ...] = ("name", "owner", "expires_at", "allowed_models", "capture")
        facts = ((None, {"fields": fields}),)
        return (*facts, ("Facts", {"fields": self.readonly_fields})) if obj else facts

    def has_delete_permission(self, request: HttpRequest, obj: ClientKey | None = None) -> bool:
        """A key that requests came with is revoked, so that the history keeps its owner."""
        return super().has_delete_permission(request, obj) and (obj is None or _unused(obj))

    def has_change_permission(self, request: HttpRequest, obj: ClientKey | None = None) -> bool:
        kept = obj is not None and obj.origin == Origin.ENVIRONMENT
        return super().has_change_permission(request, obj) and not kept

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        context = {
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
            **(extra_context or {}),
        }
        return super().add_view(request, form_url, context)

    def save_model(self, request: HttpRequest, obj: ClientKey, form: Any, change: bool) -> None:
        if not change:
            setattr(request, _ISSUED, obj.set_new_key())
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: ClientKey, *_: Any, **__: Any) -> HttpResponse:
        """The one page that shows the key. No redirect and no message: both would store it somewhere."""
        key: str = getattr(request, _ISSUED)
        base_url = request.build_absolute_uri("/").rstrip("/")
        settings = {"env": {"ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_AUTH_TOKEN": key}}
        context = {
            **self.admin_site.each_context(request),
            "title": "The new client key",
            "opts": self.opts,
            "record": obj,
            "key": key,
            "lines": "\n".join(claude_code_lines(base_url, key)),
            "settings": json.dumps(settings, indent=2),
        }
        # admin_view's never_cache adds no-store, so no browser keeps the page either
        return TemplateResponse(request, "admin/gateway/clientkey/issued.html", context)

    @admin.action(description="Revoke the selected client keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ClientKey]) -> None:
        active = [record for record in queryset if record.revoked_at is None]
        for record in active:
            record.revoke()
            self.log_change(request, record, "Revoked.")
        self.message_user(request, f"Revoked: {len(active)}. They are refused from now on.", messages.SUCCESS)

    @admin.display(description="key")
    def shown(self, record: ClientKey) -> str:
        return record.shown

    @admin.display(description="state")
    def state_now(self, record: ClientKey) -> str:
        return record.state()


def _unused(record: ClientKey) -> bool:
    kept = record.origin == Origin.ENVIRONMENT or record.last_used is not None
    return not kept and not RequestLog.objects.filter(client_key=record).exists()
