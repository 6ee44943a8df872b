"""GatewayRequest: Django's ASGI request with its body in memory and no form parsing."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest


class GatewayRequest(ASGIRequest):
    """`body` is what arrived, as bytes, whatever its size: the API has a limit of its own.

    Replaces Django's spooled temporary file, which goes to disk and is read back.
    """

    urlconf = "gateway.urls"

    def __init__(self, scope: dict[str, Any], body: bytes) -> None:
        super().__init__(scope, BytesIO())
        self._body = body
        self._read_started = True

    @property
    def body(self) -> bytes:
        return self._body
