"""The form of a provider: header values are never shown, and presets fill in empty fields."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.providers.provider_credentials import asked_again
from gateway.admin.ui.base import Select, TextInput
from gateway.admin.ui.fields import (
    MASK,
    HeadersField,
    JSONObjectField,
    OptionsField,
    SecretField,
    SecretLinesField,
    masked,
    unmasked,
)
from gateway.config.presets.presets import Preset, preset, presets
from gateway.models import Provider, Sealed
from gateway.models.configuration.provider import Auth, headers_text
from gateway.routing.network_path import DIRECT
from gateway.security.encryption import EncryptionError

PROTOCOLS: Final = (
    ("chat", gettext_lazy("Chat Completions")),
    ("responses", gettext_lazy("Responses")),
    ("anthropic", gettext_lazy("Messages (native)")),
)


_KINDS: Final = {
    "cloud": gettext_lazy("Cloud"),
    "gateway": gettext_lazy("Gateways"),
    "local": gettext_lazy("On machines of your own"),
    "other": gettext_lazy("Others"),
}


def _preset_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Presets by kind, as option groups."""
    known = [one for one in presets().values() if not one.retired]
    return [
        (str(title), [(one.slug, one.shown_label) for one in known if one.kind == kind])
        for kind, title in _KINDS.items()
    ]


class ProviderForm(forms.ModelForm):
    """Fields that a preset knows may be left empty: base URL, authentication, query."""

    preset = forms.ChoiceField(
        choices=_preset_choices,
        widget=Select,
        label=gettext_lazy("Preset"),
        help_text=gettext_lazy("The known service whose options are the starting point; it fills the form."),
    )
    base_url = forms.CharField(
        label=gettext_lazy("Base URL"),
        required=False,
        widget=TextInput(attrs={"size": 80}),
        help_text=gettext_lazy(
            "Up to and without /chat/completions. Empty: the preset's. {model} stands for the upstream model."
        ),
    )
    protocol = forms.ChoiceField(
        label=gettext_lazy("Protocol"),
        required=False,
        widget=Select,
        choices=[("", gettext_lazy("as the preset says")), *PROTOCOLS],
        help_text=gettext_lazy(
            "What is spoken at the base URL. Some services offer several, each with a base URL of its own."
        ),
    )
    auth = forms.ChoiceField(
        label=gettext_lazy("Authentication"),
        required=False,
        widget=Select,
        choices=[("", gettext_lazy("as the preset says")), *Auth.choices],
    )
    headers = HeadersField(
        label=gettext_lazy("Extra headers"),
        help_text=gettext_lazy(
            "One a line: Name: value. Values are stored encrypted and shown masked; a masked one is kept as "
            "it is."
        ),
    )
    proxy_login = SecretField(
        label=gettext_lazy("Proxy login"),
        help_text=gettext_lazy(
            "user:password, stored encrypted for this proxy. Empty: what is stored. Without a proxy it is "
            "forgotten."
        ),
    )
    client_key = SecretLinesField(
        label=gettext_lazy("Key of the client certificate"),
        help_text=gettext_lazy(
            "PEM, without a password; stored encrypted. Empty: what is stored. Without a certificate it is "
            "forgotten."
        ),
    )
    query = JSONObjectField(
        label=gettext_lazy("Query parameters"),
        help_text=gettext_lazy('JSON object of texts, for example {"api-version": "2025-04-01-preview"}.'),
    )
    options = OptionsField(
        label=gettext_lazy("Profile options"),
        help_text=gettext_lazy(
            "JSON object; what differs from the preset. docs/conversion.md names all options."
        ),
    )

    class Meta:
        model = Provider
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets choose

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        record = self.instance
        self.stored_headers, self.headers_problem = stored_headers(record)
        self.keeps_headers = False
        self.initial["headers"] = masked(self.stored_headers)
        self.initial["protocol"] = (record.options or {}).get("protocol") or ""
        # an unknown preset works like the generic one, and is shown as that
        self.initial["preset"] = preset(self.initial.get("preset") or record.preset).slug

    def clean_headers(self) -> Sealed | str:
        self.keeps_headers = MASK in self.cleaned_data["headers"].values()
        if "headers" not in self.changed_data and not self.headers_problem:
            kept: Sealed = self.instance.headers
            return kept
        # the record encrypts it for the address that is saved with it
        return headers_text(unmasked(self.cleaned_data["headers"], self.stored_headers))

    def clean_proxy_login(self) -> Sealed | str:
        return self.cleaned_data["proxy_login"] or self.instance.proxy_login

    def clean_client_key(self) -> Sealed | str:
        return self.cleaned_data["client_key"] or self.instance.client_key

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        chosen = preset(cleaned.get("preset", ""))
        protocol = self._protocol(cleaned, chosen)
        endpoint = chosen.endpoint(protocol)
        if not cleaned.get("auth"):
            cleaned["auth"] = endpoint.auth
        if not cleaned.get("query") and not self.instance.pk:
            cleaned["query"] = dict(chosen.query)
        if "base_url" in cleaned and not cleaned["base_url"]:
            if not endpoint.base_url or chosen.url_params:
                self.add_error("base_url", _needs_url(chosen, endpoint.base_url))
            cleaned["base_url"] = endpoint.base_url
        gone = _retired_at(cleaned.get("base_url", ""))
        if gone:
            self.add_error("base_url", gone.shown_note)
        if "base_url" in cleaned:
            self._ask_again(cleaned)
        if cleaned.get("client_certificate") and not cleaned.get("client_key"):
            self.add_error("client_key", _("Enter the key of the certificate."))
        return cleaned

    def _ask_again(self, cleaned: dict[str, Any]) -> None:
        """Ask for stored secrets that belong to another destination; drop those that are no longer used."""
        names = ("base_url", "proxy", "ca_certificates")
        draft = Provider(**{name: cleaned.get(name) or "" for name in names})
        if not cleaned.get("client_certificate"):
            cleaned["client_key"] = ""
        if cleaned.get("proxy") in ("", DIRECT):
            cleaned["proxy_login"] = ""
        kept = [name for name in ("proxy_login", "client_key") if isinstance(cleaned.get(name), Sealed)]
        if self.keeps_headers:
            kept.append("headers")
        for name in kept:
            saved = getattr(self.instance, f"{name}_origin")
            if getattr(self.instance, name) and saved != draft.destination(name):
                self.add_error(name, asked_again(saved))

    def _protocol(self, cleaned: dict[str, Any], chosen: Preset) -> str:
        """The protocol to speak. It is stored as an option if it differs from the preset's."""
        if not isinstance(cleaned.get("options"), dict):
            return chosen.protocol
        options = dict(cleaned["options"])
        if "protocol" in self.changed_data:
            options.pop("protocol", None)
            if cleaned.get("protocol") not in (None, "", chosen.protocol):
                options["protocol"] = cleaned["protocol"]
            cleaned["options"] = options
        return options.get("protocol") or chosen.protocol


def _needs_url(chosen: Preset, example: str) -> str:
    if not example:
        return _("%(label)s needs a base URL.") % {"label": chosen.shown_label}
    facts = {"label": chosen.shown_label, "example": example}
    return _("%(label)s needs a base URL, like %(example)s.") % facts


def _retired_at(base_url: str) -> Preset | None:
    """The retired service that this URL belonged to."""
    host = urlsplit(base_url).hostname if base_url else None
    return next((known for known in presets().values() if known.retired and host in known.hosts), None)


def stored_headers(record: Provider) -> tuple[dict[str, str], str]:
    """The stored headers, and a message if they cannot be read."""
    try:
        return record.revealed_headers(), ""
    except (EncryptionError, ValueError) as problem:
        return {}, str(problem)
