"""Which texts of an exchange are kept, and how its headers are shown (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

NONE: Final = "none"
FULL: Final = "full"

# More than any model answers; what exceeds it is cut, never the row.
MAX_STREAM_BYTES: Final = 16 * 1024 * 1024

# Headers that describe a request and carry no secret; any other may. Some are identified by a prefix.
_OPEN: Final = frozenset(
    {
        "accept", "accept-charset", "accept-encoding", "accept-language", "anthropic-beta",
        "anthropic-dangerous-direct-browser-access", "anthropic-version", "cache-control", "connection",
        "content-encoding", "content-language", "content-length", "content-type", "date", "dnt", "expect",
        "forwarded", "host", "idempotency-key", "origin", "pragma", "priority", "te", "traceparent",
        "tracestate", "transfer-encoding", "upgrade-insecure-requests", "user-agent", "via", "x-app",
        "x-claude-code-agent-id", "x-claude-code-parent-agent-id", "x-claude-code-session-id",
        "x-correlation-id", "x-real-ip", "x-request-id", "x-title",
    }
)  # fmt: skip
_OPEN_BEGINNINGS: Final = (
    "sec-ch-", "sec-fetch-", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port",
    "x-forwarded-proto", "x-stainless-",
)  # fmt: skip
MASK: Final = "[masked]"
LONGEST_KNOWN: Final = 2000


def policy(key_policy: str, gateway_policy: str) -> str:
    """The capture policy in force: the key's own, else the gateway's."""
    return key_policy or gateway_policy


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for storage, with the value replaced in each one that is not known to be free of secrets."""
    names = tuple(headers)
    # no long made-up names are kept in memory
    secret = _known_secrets(names) if sum(map(len, names)) <= LONGEST_KNOWN else _secrets(names)
    return {**headers, **secret}


def _secrets(names: tuple[str, ...]) -> dict[str, str]:
    """The given names that may carry a secret, each with the mask."""
    return {name: MASK for name in names if not _is_open(name.lower())}


def _is_open(name: str) -> bool:
    return name in _OPEN or name.startswith(_OPEN_BEGINNINGS)


# clients send the same few names with each request
_known_secrets: Final = lru_cache(maxsize=128)(_secrets)


class ByteLog:
    """Collects the pieces of one stream up to MAX_STREAM_BYTES; adding is a list append.

    `cut`: there was more.
    """

    __slots__ = ("_pieces", "_room", "cut")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._room = MAX_STREAM_BYTES
        self.cut = False

    def add(self, piece: bytes) -> None:
        if self._room > 0:
            self._pieces.append(piece)
            self._room -= len(piece)
        elif piece:
            self.cut = True

    def text(self) -> bytes:
        return b"".join(self._pieces)
