"""The form of a provider: secrets are only written, presets fill what is left empty."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from gateway.admin.fields import HeadersField, JSONObjectField, OptionsField, SecretField, masked, unmasked
from gateway.conf import gateway_conf
from gateway.config.presets import preset, presets
from gateway.models import Origin, Provider, Sealed
from gateway.models.provider import Auth, headers_text
from gateway.security.encryption import EncryptionError

# Four characters of a short secret would be a good part of it.
_LONG_ENOUGH_FOR_LAST_FOUR = 16


def _preset_choices() -> list[tuple[str, str]]:
    return [(known.slug, known.label) for known in presets().values()]


class ProviderForm(forms.ModelForm):
    """What a preset knows may be left empty: base URL, authentication, query."""

    preset = forms.ChoiceField(
        choices=_preset_choices, help_text="The known service whose options are the starting point."
    )
    base_url = forms.CharField(
        label="Base URL",
        required=False,
        widget=forms.TextInput(attrs={"size": 80}),
        help_text="Up to and without /chat/completions. Empty: the preset's. "
        "{model} stands for the upstream model.",
    )
    auth = forms.ChoiceField(
        label="Authentication",
        required=False,
        choices=[("", "as the preset says"), *Auth.choices],
    )
    credential = SecretField()
    remove_credential = forms.BooleanField(required=False, help_text="Forget the stored credential.")
    headers = HeadersField(
        label="Extra headers",
        help_text="One a line: Name: value. Values are stored encrypted and shown masked; "
        "a masked value is kept as it is.",
    )
    query = JSONObjectField(
        label="Query parameters",
        help_text='JSON object of texts, for example {"api-version": "2025-04-01-preview"}.',
    )
    options = OptionsField(
        label="Profile options",
        help_text="JSON object; what differs from the preset. docs/conversion.md names all options.",
    )

    class Meta:
        model = Provider
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets choose

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        record = self.instance
        if "credential" in self.fields:
            keep = " Leave it empty to keep it." if record.credential else ""
            self.fields["credential"].help_text = credential_state(record).capitalize() + "." + keep
        self.stored_headers, self.headers_problem = stored_headers(record)
        self.initial["headers"] = masked(self.stored_headers)

    def clean_credential(self) -> Sealed:
        typed = self.cleaned_data["credential"]
        return self.instance.credential if not typed and self.instance.pk else _sealed(typed)

    def clean_headers(self) -> Sealed:
        if "headers" not in self.changed_data and not self.headers_problem:
            kept: Sealed = self.instance.headers
            return kept
        return _sealed(headers_text(unmasked(self.cleaned_data["headers"], self.stored_headers)))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        chosen = preset(cleaned.get("preset", ""))
        if cleaned.get("remove_credential"):
            cleaned["credential"] = Sealed("")
        if not cleaned.get("auth"):
            cleaned["auth"] = chosen.auth
        if not cleaned.get("query") and not self.instance.pk:
            cleaned["query"] = dict(chosen.query)
        if "base_url" in cleaned and not cleaned["base_url"]:
            if not chosen.base_url or chosen.url_params:
                example = f", like {chosen.base_url}" if chosen.base_url else ""
                self.add_error("base_url", f"{chosen.label} needs a base URL{example}.")
            cleaned["base_url"] = chosen.base_url
        return cleaned


def _sealed(text: str) -> Sealed:
    try:
        return Sealed.of(text)
    except EncryptionError as problem:
        raise ValidationError(str(problem)) from None


def stored_headers(record: Provider) -> tuple[dict[str, str], str]:
    """The stored headers, and why they cannot be read."""
    try:
        return record.revealed_headers(), ""
    except (EncryptionError, ValueError) as problem:
        return {}, str(problem)


def credential_state(record: Provider) -> str:
    """What may be said of a stored credential."""
    if record.origin == Origin.ENVIRONMENT:
        return "from the environment (OPENAI_API_KEY)" if gateway_conf().openai_api_key else "none"
    if not record.credential:
        return "not set"
    try:
        text = record.revealed_credential()
    except EncryptionError:
        return "stored, but no key in FIELD_ENCRYPTION_KEYS opens it; enter it again"
    return f"set, ends in {text[-4:]}" if len(text) >= _LONG_ENOUGH_FOR_LAST_FOUR else "set"
