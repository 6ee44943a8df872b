"""Values of records as JSON, for the log of changes: secrets hidden, names for people."""

from __future__ import annotations

import json
from typing import Any, Final

from django.core.serializers.json import DjangoJSONEncoder

from gateway.models import (
    ClientKey,
    ConfigRecord,
    EncryptedTextField,
    NotificationChannel,
    SecretOriginField,
)
from gateway.security.destinations import origin_of

SECRET: Final = "••••••••"  # noqa: S105 (stands for one)


def shown_values(model: type[ConfigRecord], values: dict[str, Any]) -> dict[str, Any]:
    """Values as JSON has them, secrets hidden."""
    shown = {
        name: _hidden(model, name, value) if is_secret(model, name) else value
        for name, value in values.items()
    }
    plain: dict[str, Any] = json.loads(json.dumps(shown, cls=DjangoJSONEncoder))
    return plain


def _hidden(model: type[ConfigRecord], name: str, value: Any) -> str:
    if not value:
        return ""
    return f"{origin_of(value)}/{SECRET}" if _has_secret_path(model, name) else SECRET


def _has_secret_path(model: type[ConfigRecord], name: str) -> bool:
    """Whether a value is an address that lets in whoever knows its path, as webhooks of Slack do."""
    return model is NotificationChannel and name == "url"


def is_secret(model: type[ConfigRecord], name: str) -> bool:
    """Whether a value is a secret, or says where one may go: undoing never writes it."""
    if (model is ClientKey and name == "digest") or _has_secret_path(model, name):
        return True
    return isinstance(_field(model, name), EncryptedTextField | SecretOriginField)


def _field(model: type[ConfigRecord], name: str) -> Any:
    return next((one for one in model._meta.concrete_fields if one.attname == name), None)


def verbose(model: type[ConfigRecord], name: str) -> Any:
    """The field's name for people; `name` itself when the model has no such field any more."""
    found = _field(model, name)
    return found.verbose_name if found is not None else name


def from_json(model: type[ConfigRecord], name: str, value: Any) -> Any:
    """The value that `shown_values` wrote, as the field holds it. Raises ValidationError."""
    found = _field(model, name)
    return value if found is None or value is None else found.to_python(value)
