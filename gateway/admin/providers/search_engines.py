"""Search engines: where the gateway searches the web for clients' WebSearch tool."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from gateway.admin.providers.provider_credentials import asked_again
from gateway.admin.ui.base import EmptyState, GatewayModelAdmin
from gateway.admin.ui.fields import SecretField
from gateway.models import Sealed, SearchEngine


class SearchEngineForm(forms.ModelForm):
    """An empty secret keeps the stored one."""

    credential = SecretField(label=_("Credential"), help_text=_("Empty: as it is stored."))

    class Meta:
        model = SearchEngine
        fields = (
            "name", "kind", "base_url", "credential", "max_results", "timeout", "position", "enabled", "note",
        )  # fmt: skip

    def clean_credential(self) -> Sealed | str:
        typed: str = self.cleaned_data["credential"]
        # the record encrypts it for the address that is saved with it
        return typed or self.instance.credential

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        stored = cleaned.get("credential")
        draft = SearchEngine(base_url=cleaned.get("base_url", ""), kind=cleaned.get("kind", ""))
        saved = self.instance.credential_origin
        if isinstance(stored, Sealed) and stored and saved != draft.destination("credential"):
            self.add_error("credential", asked_again(saved))
        return cleaned


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
