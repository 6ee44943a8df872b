"""Search engines: where the gateway searches the web for clients' WebSearch tool."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from gateway.admin.base import EmptyState, GatewayModelAdmin
from gateway.admin.fields import SecretField
from gateway.admin.provider_credentials import sealed
from gateway.models import Sealed, SearchEngine


class SearchEngineForm(forms.ModelForm):
    """An empty secret keeps the stored one."""

    credential = SecretField(label=_("Credential"), help_text=_("Empty: as it is stored."))

    class Meta:
        model = SearchEngine
        fields = (
            "name", "kind", "base_url", "credential", "max_results", "timeout", "position", "enabled", "note",
        )  # fmt: skip

    def clean_credential(self) -> Sealed:
        typed = self.cleaned_data["credential"]
        if typed:
            return sealed(typed)
        stored = self.instance.credential
        return stored if isinstance(stored, Sealed) else Sealed("")


@admin.register(SearchEngine)
class SearchEngineAdmin(GatewayModelAdmin):
    form = SearchEngineForm
    list_display = ("name", "kind", "base_url", "position", "enabled")
    list_filter = ("enabled",)
    empty_state = EmptyState(
        _("No search engine yet"),
        _(
            "With one, the WebSearch tool of Claude Code works with every model, also where the provider "
            "cannot search. Without one, such a request is answered with a sentence that says so."
        ),
    )
