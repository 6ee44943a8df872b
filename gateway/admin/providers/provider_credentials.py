"""The credentials on a provider's page: written, never shown."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.ui.base import TabularInline
from gateway.admin.ui.fields import SecretField
from gateway.admin.ui.html_format import NOTHING, badge
from gateway.conf import gateway_conf
from gateway.models import Origin, Provider, ProviderCredential, SavedElsewhere, Sealed
from gateway.security.encryption import EncryptionError

# four characters would be a large part of a short secret
_LONG_ENOUGH_FOR_LAST_FOUR: Final = 16


class CredentialForm(forms.ModelForm):
    """One row. An empty secret keeps the stored one while the destination stays the same."""

    value = SecretField(label=gettext_lazy("Credential"))

    class Meta:
        model = ProviderCredential
        fields = ("value", "label", "position", "enabled")

    def __init__(self, *args: Any, provider: Provider | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        if provider is not None:
            # the secret is encrypted for the base URL in the form above
            self.instance.provider = provider

    def clean_value(self) -> Sealed | str:
        typed: str = self.cleaned_data["value"]
        if not typed and not self.instance.pk:
            raise ValidationError(_("Enter the credential."))
        return typed or self.instance.value

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        kept = isinstance(cleaned.get("value"), Sealed)
        if kept and cleaned.get("enabled") and self.instance.is_left_behind:
            self.add_error("value", asked_again(self.instance.value_origin))
        return cleaned


class CredentialFormSet(BaseInlineFormSet):
    """The rows of a provider whose own fields may change in the same form."""

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return {**super().get_form_kwargs(index), "provider": self.instance}


class CredentialInline(TabularInline):
    """All credentials of the provider; requests use them by position."""

    model = ProviderCredential
    form = CredentialForm
    formset = CredentialFormSet
    extra = 0
    readonly_fields = ("stored", "standing")

    def get_extra(self, request: HttpRequest, obj: Provider | None = None, **_: Any) -> int:
        return 0 if obj is not None and obj.credentials.exists() else 1

    def get_fields(self, request: HttpRequest, obj: Provider | None = None) -> tuple[str, ...]:
        shown = ("label", "position", "enabled", "stored", "standing")
        return shown if obj is not None and obj.origin == Origin.ENVIRONMENT else ("value", *shown)

    @admin.display(description=gettext_lazy("stored"))
    def stored(self, record: ProviderCredential) -> str:
        return stored_value(record) if record.pk else "–"

    @admin.display(description=gettext_lazy("state"))
    def standing(self, record: ProviderCredential) -> str:
        if not record.pk:
            return NOTHING
        if not record.enabled or not record.is_set_aside:
            return badge(standing(record), "good" if record.enabled else "plain")
        url = reverse("admin:gateway_provider_credential_back", args=[record.provider_id, record.pk])
        # a button of the page's form with its own address
        return format_html(
            '<p>{} {}</p><button type="submit" class="gw-button gw-small" formaction="{}" formnovalidate>{}'
            "</button>",
            badge(_("set aside"), "bad"),
            standing(record),
            url,
            _("Bring back"),
        )


def bring_credential_back(provider: Provider, credential: int) -> str:
    """Bring back a credential of `provider`; returns its label, or "" if it was not set aside."""
    record = provider.credentials.filter(pk=credential).exclude(set_aside_since=None).first()
    if record is None:
        return ""
    record.bring_back()
    label: str = record.shown_label
    return label


def asked_again(saved: str) -> str:
    """The message about a stored secret that was saved for another origin."""
    text = _("Enter it again: what is stored was saved for %(saved)s and is not sent to another address.")
    return text % {"saved": saved or _("an address that is not known")}


def stored_value(record: ProviderCredential) -> str:
    """The state of a stored secret, in words."""
    if record.origin == Origin.ENVIRONMENT:
        return _("from the environment (OPENAI_API_KEY)") if gateway_conf().openai_api_key else _("not set")
    try:
        text = record.revealed()
    except SavedElsewhere:
        return _("stored for %(saved)s; enter it again for this address") % {"saved": record.value_origin}
    except EncryptionError:
        return _("stored, but no key in FIELD_ENCRYPTION_KEYS opens it; enter it again")
    if len(text) < _LONG_ENOUGH_FOR_LAST_FOUR:
        return _("set")
    return _("set, ends in %(end)s") % {"end": text[-4:]}


def standing(record: ProviderCredential) -> str:
    """Whether requests use it, and if not, why."""
    if not record.enabled:
        return _("disabled")
    if not record.is_set_aside:
        return _("in use")
    facts = {"since": _time(record.set_aside_since), "reason": record.set_aside_reason}
    if record.set_aside_until is not None:
        until = {**facts, "until": _time(record.set_aside_until)}
        return _("set aside since %(since)s until %(until)s: %(reason)s") % until
    return _("set aside since %(since)s: %(reason)s") % facts


def credentials_state(provider: Provider) -> str:
    """The credentials of a provider in a few words, for the list."""
    records = list(provider.credentials.all())
    if not records:
        return _("not set")
    states = []
    for record in records:
        use = "" if record.enabled and not record.is_set_aside else f" ({standing(record)})"
        name = f"{record.label}: " if record.label else ""
        states.append(f"{name}{stored_value(record)}{use}")
    return "; ".join(states)


def _time(moment: Any) -> str:
    return date_format(localtime(moment), "DATETIME_FORMAT")
