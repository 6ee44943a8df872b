"""Opaque upstream data carried by the client, in signatures and tool ids (specification 3.4, 3.6).

Nothing is stored in the gateway: what a provider wants back (reasoning details,
encrypted reasoning, thought signatures) travels to the client inside the
signature of a thinking block or the id of a tool call, and returns with the
history. A payload is `base64url(zlib(JSON))`.

    signature:  "gw1." + payload            keys v, p, m, and rd, ri, ec, f, t, x
    tool id:    id + "_gw1_" + payload      keys v, p, m, x
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Any, Final

from gateway.wire import jsontext

SIGNATURE_PREFIX: Final = "gw1."
ID_MARK: Final = "_gw1_"
MAX_SIGNATURE: Final = 256 * 1024
MAX_ID_PAYLOAD: Final = 32 * 1024
MAX_UNPACKED_SIGNATURE: Final = 4 * 1024 * 1024
MAX_UNPACKED_ID: Final = 64 * 1024

Payload = dict[str, Any]


def signature(payload: Payload) -> tuple[str, bool]:
    """Sign a thinking block: (signature, whether all of it fitted).

    Over MAX_SIGNATURE the keys rd, ec and x are left out.
    """
    packed = SIGNATURE_PREFIX + _pack({"v": 1, **payload})
    if len(packed) <= MAX_SIGNATURE:
        return packed, True
    kept = {key: value for key, value in payload.items() if key not in ("rd", "ec", "x", "t")}
    return SIGNATURE_PREFIX + _pack({"v": 1, **kept}), False


def is_ours(text: object) -> bool:
    """Whether this looks like one of our signatures, readable or not."""
    return isinstance(text, str) and text.startswith(SIGNATURE_PREFIX)


def read_signature(text: object) -> Payload | None:
    """The payload of one of our signatures; None for foreign, tampered or unreadable ones."""
    if not isinstance(text, str) or not text.startswith(SIGNATURE_PREFIX) or len(text) > MAX_SIGNATURE:
        return None
    return _unpack(text[len(SIGNATURE_PREFIX) :].split(".", 1)[0], MAX_UNPACKED_SIGNATURE)


def id_with(call_id: str, payload: Payload) -> str | None:
    """The tool id carrying `payload`; None when it would be too large."""
    packed = _pack({"v": 1, **payload})
    return None if len(packed) > MAX_ID_PAYLOAD else f"{call_id}{ID_MARK}{packed}"


def split_id(call_id: str) -> tuple[str, Payload | None]:
    """Cut a tool id at the first mark: (plain id, payload or None when there is none or it is unreadable)."""
    plain, mark, packed = call_id.partition(ID_MARK)
    if not mark:
        return call_id, None
    return plain, _unpack(packed, MAX_UNPACKED_ID)


def _pack(payload: Payload) -> str:
    return base64.urlsafe_b64encode(zlib.compress(jsontext.dumps(payload), 6)).rstrip(b"=").decode("ascii")


def _unpack(packed: str, limit: int) -> Payload | None:
    try:
        raw = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(raw, limit + 1)
        if len(text) > limit or not unpacker.eof:
            return None
        payload = jsontext.loads(text)
    except (binascii.Error, zlib.error, jsontext.InvalidJSON, ValueError):
        return None
    return payload if isinstance(payload, dict) and payload.get("v") == 1 else None
