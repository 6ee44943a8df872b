"""Opaque upstream data carried by the client, in signatures and tool ids.

The gateway stores nothing: what a provider wants back (reasoning details, encrypted reasoning, thought
signatures) travels to the client inside the signature of a thinking block or the id of a tool call, and
returns with the history. A payload is `base64url(zlib(JSON))` and names provider and model.

    signature:  "gw1." + payload + "." + tag        keys v, p, m, and rd, ri, ec, f, t, x
    tool id:    id + "_gw1_" + payload + tag        keys v, p, m, x, and i: the provider's id in place of ours

A few KB can unpack to megabytes, and a client could write a payload itself or present another's. So each
has a tag, an HMAC-SHA-256 of everything before it and of its owner (`Seal`), which is checked before
anything is unpacked; and one request has a budget for unpacking (`Opener`).

See docs/conversion.md, "Signatures" and "Ids of calls".
"""

from __future__ import annotations

import base64
import binascii
import hmac
import zlib
from collections.abc import Callable
from dataclasses import field
from typing import Any, Final

from gateway.values import frozen
from gateway.wire import jsontext

UNREADABLE: Final = "that cannot be read"
NOT_SIGNED: Final = "that this gateway did not sign for this client"
TOO_MUCH: Final = "beyond what one request may unpack"
SIGNATURE_PREFIX: Final = "gw1."
ID_MARK: Final = "_gw1_"
OWN_ID: Final = "toolu_"
MAX_SIGNATURE: Final = 256 * 1024
MAX_ID_PAYLOAD: Final = 32 * 1024
MAX_UNPACKED_SIGNATURE: Final = 4 * 1024 * 1024
MAX_UNPACKED_ID: Final = 64 * 1024
# bytes that the payloads of one request may unpack to, in addition to the size of its body
MORE_THAN_BODY: Final = 1024 * 1024
_TAG_BYTES: Final = 16
_TAG_LENGTH: Final = 22

Payload = dict[str, Any]
# a PDF in base64 -> the text of each page; None: the request had no time for it
PageTexts = Callable[[str], tuple[str, ...] | None]


@frozen
class Seal:
    """Signs payloads and checks them.

    `keys`: the first signs, each is accepted. `owner`: whose payloads they are; another owner's are invalid.
    Without keys nothing is signed and nothing checked: for conversions outside any exchange (dry runs,
    vectors).
    """

    keys: tuple[bytes, ...] = field(default=(), repr=False)
    owner: str = ""

    def tag(self, text: str) -> str:
        """The tag that the first key makes for `text`."""
        return self._tag(self.keys[0], text)

    def holds(self, text: str, tag: str) -> bool:
        """Whether one of the keys made `tag` for `text` and this owner."""
        shown = tag.encode("utf-8", "replace")
        return any(hmac.compare_digest(self._tag(key, text).encode(), shown) for key in self.keys)

    def _tag(self, key: bytes, text: str) -> str:
        message = f"{self.owner}\0{text}".encode("utf-8", "replace")
        return _base64(hmac.digest(key, message, "sha256")[:_TAG_BYTES])


UNSEALED: Final = Seal()


class Opener:
    """Reads the payloads of one request. `budget`: bytes that all of them together may unpack to.

    The text of PDFs counts too, because a small file may contain a lot. `page_texts` reads PDFs; None: the
    conversion does. `used`: the bytes read so far. `refused` counts what this request could not have although
    another one might. `reason` says why the last payload was None.
    """

    __slots__ = ("_budget", "page_texts", "reason", "refused", "seal", "used")

    def __init__(
        self,
        seal: Seal = UNSEALED,
        budget: int = 16 * 1024 * 1024,
        page_texts: PageTexts | None = None,
    ) -> None:
        self.seal = seal
        self.page_texts = page_texts
        self.used = 0
        self.refused = 0
        self.reason = ""
        self._budget = budget

    def charge(self, size: int) -> bool:
        """Count bytes that were unpacked earlier or elsewhere; False when they exceed the budget."""
        if size > self._budget - self.used:
            return False
        self.used += size
        return True

    def refuse(self) -> None:
        """Note that something was left out which another request with the same text might get."""
        self.refused += 1

    def signature(self, text: object) -> Payload | None:
        """The payload of one of our signatures; None for foreign, tampered or unreadable ones."""
        self.reason = UNREADABLE
        if not isinstance(text, str) or not text.startswith(SIGNATURE_PREFIX) or len(text) > MAX_SIGNATURE:
            return None
        signed, _, tag = text.partition(".")[2].partition(".")
        return self._checked(SIGNATURE_PREFIX + signed, tag, signed, MAX_UNPACKED_SIGNATURE)

    def call_id(self, call_id: str) -> tuple[str, Payload | None]:
        """Cut a tool id at the first mark: (plain id, payload; None: there is none or it is not read)."""
        plain, mark, packed = call_id.partition(ID_MARK)
        if not mark:
            return call_id, None
        self.reason = UNREADABLE
        if not self.seal.keys:
            return plain, self._unpacked(packed, MAX_UNPACKED_ID)
        if len(packed) > MAX_ID_PAYLOAD + _TAG_LENGTH:
            return plain, None
        signed, tag = packed[:-_TAG_LENGTH], packed[-_TAG_LENGTH:]
        return plain, self._checked(plain + ID_MARK + signed, tag, signed, MAX_UNPACKED_ID)

    def _checked(self, text: str, tag: str, packed: str, limit: int) -> Payload | None:
        if self.seal.keys and not self.seal.holds(text, tag):
            self.reason = NOT_SIGNED
            return None
        return self._unpacked(packed, limit)

    def _unpacked(self, packed: str, limit: int) -> Payload | None:
        left = self._budget - self.used
        text = _unpacked(packed, min(limit, left))
        if text is None:
            if left < limit:
                self.refused += 1
                self.reason = TOO_MUCH
            return None
        self.used += len(text)
        try:
            payload = jsontext.loads(text)
        except (jsontext.InvalidJSON, ValueError):
            return None
        return payload if isinstance(payload, dict) and payload.get("v") == 1 else None


def signature(payload: Payload, seal: Seal = UNSEALED) -> tuple[str, bool]:
    """Sign a thinking block: (signature, whether all of it fitted).

    Over MAX_SIGNATURE the keys rd, ec, x and t are left out.
    """
    signed = _signature({"v": 1, **payload}, seal)
    if len(signed) <= MAX_SIGNATURE:
        return signed, True
    kept = {key: value for key, value in payload.items() if key not in ("rd", "ec", "x", "t")}
    return _signature({"v": 1, **kept}, seal), False


def is_ours(text: object) -> bool:
    """Whether this looks like one of our signatures, readable or not."""
    return isinstance(text, str) and text.startswith(SIGNATURE_PREFIX)


def read_signature(text: object) -> Payload | None:
    """The payload of a signature that nobody signed (dry runs, tests)."""
    return Opener().signature(text)


def id_with(call_id: str, payload: Payload, seal: Seal = UNSEALED) -> str | None:
    """The tool id carrying `payload`; None when it would be too large."""
    packed = _pack({"v": 1, **payload})
    if len(packed) > MAX_ID_PAYLOAD:
        return None
    marked = f"{call_id}{ID_MARK}{packed}"
    return marked + seal.tag(marked) if seal.keys else marked


def split_id(call_id: str) -> tuple[str, Payload | None]:
    """`Opener.call_id` for an id that nobody signed."""
    return Opener().call_id(call_id)


def _signature(payload: Payload, seal: Seal) -> str:
    packed = SIGNATURE_PREFIX + _pack(payload)
    return f"{packed}.{seal.tag(packed)}" if seal.keys else packed


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _pack(payload: Payload) -> str:
    return _base64(zlib.compress(jsontext.dumps(payload), 6))


def _unpacked(packed: str, limit: int) -> bytes | None:
    """The packed bytes; None when they are more than `limit`, or were never packed."""
    try:
        raw = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(raw, max(0, limit) + 1)
    except (binascii.Error, zlib.error, ValueError):
        return None
    return text if len(text) <= limit and unpacker.eof else None
