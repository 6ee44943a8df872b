"""Which texts of an exchange are kept, and how its headers are shown (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NONE: Final = "none"
FULL: Final = "full"

# More than any answer of a model; what lies behind it is cut, never the row.
MAX_STREAM_BYTES: Final = 16 * 1024 * 1024

_SECRET_HEADERS: Final = frozenset(
    {"authorization", "x-api-key", "api-key", "cookie", "set-cookie", "proxy-authorization", "x-goog-api-key"}
)
_SECRET_WORDS: Final = ("token", "secret", "key", "auth", "password", "credential")
MASK: Final = "[masked]"


def policy(key_policy: str, gateway_policy: str) -> str:
    """The capture policy in force: the key's own, else the gateway's."""
    return key_policy or gateway_policy


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for storage: every one that may carry a secret has its value replaced."""
    return {name: MASK if _is_secret(name) else value for name, value in headers.items()}


def _is_secret(name: str) -> bool:
    lower = name.lower()
    return lower in _SECRET_HEADERS or any(word in lower for word in _SECRET_WORDS)


class ByteLog:
    """Collects the pieces of one stream up to MAX_STREAM_BYTES; adding is a list append."""

    __slots__ = ("_pieces", "_room")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._room = MAX_STREAM_BYTES

    def add(self, piece: bytes) -> None:
        if self._room > 0:
            self._pieces.append(piece)
            self._room -= len(piece)

    def text(self) -> bytes:
        return b"".join(self._pieces)
