"""Providers: what the gateway calls."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from gateway.admin.owned import OwnedRecordAdmin
from gateway.admin.provider_credentials import CredentialInline, credentials_state
from gateway.admin.provider_form import ProviderForm, stored_headers
from gateway.admin.provider_standing import BringBackAdmin
from gateway.conf import gateway_conf
from gateway.config.presets import preset
from gateway.config.takeover import take_over_provider
from gateway.models import Origin, Provider
from gateway.models.provider import Auth


@admin.register(Provider)
class ProviderAdmin(BringBackAdmin, OwnedRecordAdmin):
    form = ProviderForm
    actions = ("bring_back",)
    inlines = (CredentialInline,)
    change_form_template = "admin/gateway/provider/change_form.html"
    list_display = ("name", "slug", "preset", "base_url", "enabled", "credential_is", "origin")
    list_filter = ("enabled", "origin")
    search_fields = ("name", "slug", "base_url")
    prepopulated_fields = {"slug": ("name",)}
    remarks = {
        Origin.ENVIRONMENT: "This provider is kept in step with the environment (.env) at each start. "
        "Take it over to change it here; its mappings come along, and the environment leaves them alone.",
        Origin.DEMO: "This is the built-in demo. It answers only as long as no mapping leads to another "
        "provider, and it is removed at the next start after that. Add a provider of your own beside it.",
    }
    _first = ("name", "slug", "preset", "base_url", "auth")
    _rest = (
        (None, {"fields": ("enabled",)}),
        (
            "Timeouts and tries",
            {"fields": ("connect_timeout", "first_byte_timeout", "silence_timeout", "max_retries")},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        queryset: QuerySet[Provider] = super().get_queryset(request).prefetch_related("credentials")
        return queryset

    def get_fieldsets(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        if not self._editable(request, obj):
            shown = ("preset_note", "header_names", "query", "options")
            return ((None, {"fields": (*self._first, *shown)}), *self._rest)
        return (
            (None, {"fields": (*self._first, *(("preset_note",) if obj else ()))}),
            *self._rest,
            ("Beyond the preset", {"fields": ("options", "headers", "query")}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        return ("preset_note",) if self._editable(request, obj) else ("preset_note", "header_names")

    def get_prepopulated_fields(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        return {} if obj else super().get_prepopulated_fields(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # a demo with a real URL would still be answered inside the process
        return super().has_change_permission(request, obj) and not _is_demo(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_demo(obj)

    def save_model(self, request: HttpRequest, obj: Provider, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not obj.targets.exists():
            text = f"No mapping leads to {obj.name} yet. Add one under Model mappings, for example *."
            self.message_user(request, text, messages.WARNING)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        obj = form.instance
        if preset(obj.preset).needs_key and obj.auth != Auth.NONE and not obj.credentials.exists():
            self.message_user(
                request, f"{obj.name} has no credential yet; requests will fail.", messages.WARNING
            )

    def take_over(self, record: Provider) -> str:
        count = take_over_provider(record)
        return f"{record.name} and {count} mappings are now yours; the environment no longer changes them."

    @admin.display(description="about the preset")
    def preset_note(self, record: Provider) -> str:
        known = preset(record.preset)
        if not known.docs:
            return known.note
        return format_html('{} <a href="{}" rel="noreferrer">Documentation</a>', known.note, known.docs)

    @admin.display(description="credential")
    def credential_is(self, record: Provider) -> str:
        return credentials_state(record)

    @admin.display(description="extra headers")
    def header_names(self, record: Provider) -> str:
        if record.origin == Origin.ENVIRONMENT:
            names = ", ".join(gateway_conf().custom_headers)
            return f"{names} (from CUSTOM_HEADER_*)" if names else "none"
        return ", ".join(stored_headers(record)[0]) or "none"

    def _editable(self, request: HttpRequest, obj: Provider | None) -> bool:
        return self.has_change_permission(request, obj) if obj else self.has_add_permission(request)


def _is_demo(obj: Any) -> bool:
    return obj is not None and obj.origin == Origin.DEMO
