"""Ids of tool calls on their way upstream.

Pure functions of the id, so the same history always gives the same ids.

See docs/conversion.md, "Ids of calls".
"""

from __future__ import annotations

import hashlib
from typing import Final

from gateway import patterns
from gateway.conversion.provider_state import ID_MARK

# OpenAI refuses longer ones
_LEGAL: Final = patterns.compiled(r"\A[A-Za-z0-9_-]{1,40}\Z")
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MISTRAL_LENGTH: Final = 9


def plain_id(client_id: str) -> str:
    """The id without the opaque data that it carries behind the first `_gw1_`."""
    return client_id.partition(ID_MARK)[0]


def upstream_id(plain: str, tool_id_format: str) -> str:
    """The id sent upstream for a plain id, the same for a call and its result.

    `any`: unchanged when legal and at most 40 characters, else `call_` + 24 hex of its SHA-256;
    `mistral9`: 9 characters of base 62.
    """
    if tool_id_format == "mistral9":
        return _base62(_digest(plain))[:_MISTRAL_LENGTH]
    if _LEGAL.match(plain):
        return plain
    return f"call_{_digest(plain).hex()[:24]}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _base62(digest: bytes) -> str:
    number = int.from_bytes(digest, "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits)).rjust(_MISTRAL_LENGTH, "0")
