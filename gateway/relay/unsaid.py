"""What a provider was sent and repeats: its credentials are taken out of what it says of errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.errors import UpstreamError
from gateway.routing.secret_forms import forms_of_secrets
from gateway.wire.messages import Sent

MASK: Final = "***"


def unsay(error: UpstreamError, secrets: Iterable[str]) -> None:
    """Take secrets out of what an error says, whatever they look like."""
    for secret in forms_of_secrets(secrets):
        error.message = error.message.replace(secret, MASK)
        if error.verbatim is not None:
            error.verbatim = _without(error.verbatim, secret)


def without(event: Sent, secrets: Iterable[str]) -> Sent:
    """An event as the provider sent it, without secrets; one of ours is the same."""
    if isinstance(event, bytes):
        for secret in forms_of_secrets(secrets):
            event = _without(event, secret)
    return event


def _without(text: bytes, secret: str) -> bytes:
    return text.replace(secret.encode("utf-8", "replace"), MASK.encode())
