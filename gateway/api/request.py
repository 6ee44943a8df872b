"""GatewayRequest: Django's ASGI request as the API's views use it.

It skips work that Django does for every request before anything needs it: headers turned
into META's names and back, a form's encoding, a spooled temporary file for the body that
is written and read back. For a small request that was a twentieth of the CPU time.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest


class GatewayRequest(ASGIRequest):
    """`body` is what arrived, as bytes, whatever its size: the API has its own limit.

    `address` is the peer's, `query` the part of the URL after the question mark. Everything else
    of a Django request is made on demand. Raises UnicodeDecodeError for a query that is not text.
    """

    urlconf = "gateway.urls"

    def __init__(self, scope: dict[str, Any], body: bytes) -> None:
        self.scope = scope
        self.path = self.path_info = scope["path"]
        prefix = scope.get("root_path", "")
        if prefix:
            self.path_info = self.path.removeprefix(prefix)
        self.method = scope["method"].upper()
        self.query: str = scope.get("query_string", b"").decode()
        client = scope.get("client")
        self.address: str = client[0] if client else ""
        self.resolver_match = None
        self._body = body
        self._read_started = True
        self._post_parse_error = False

    def __getattr__(self, name: str) -> Any:
        """Everything not set above comes from Django's own request."""
        if name in ("scope", "_usual"):
            # asked while the object is still being made
            raise AttributeError(name)
        return getattr(self._usual, name)

    @cached_property
    def _usual(self) -> ASGIRequest:
        return ASGIRequest(self.scope, BytesIO(self._body))

    @property
    def body(self) -> bytes:
        return self._body

    @cached_property
    def lower_headers(self) -> dict[str, str]:
        """The headers with lower-case names, as they came over the wire; repeated ones are joined."""
        return lower_headers(self.scope["headers"])


def lower_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by their lower-case names; repeated ones are joined."""
    found: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        # `x_api_key` must never pass for `x-api-key`
        if "_" not in name:
            found[name] = f"{found[name]},{value}" if name in found else value
    return found
