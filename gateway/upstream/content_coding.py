"""The body of an answer whose content-encoding is not identity, within bounds.

We ask for identity, but some servers compress anyway. gzip is read in pieces of a bounded size,
so that the reader can stop at a limit before memory is taken; every other coding is refused.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from gateway.errors import UpstreamBroken

# bytes
LONGEST_PIECE: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_LONGEST_NAME: Final = 40
_CUT: Final = "upstream closed the stream before the response was complete"


def decoded(body: AsyncIterable[bytes], content_encoding: str) -> AsyncIterable[bytes]:
    """`body` decoded as the header says; the same object when it was not encoded.

    Reading it raises UpstreamBroken for data that is not gzip, and at once for any other coding.
    """
    codings = [name for coding in content_encoding.lower().split(",") if (name := coding.strip())]
    codings = [name for name in codings if name != "identity"]
    if not codings:
        return body
    if codings in (["gzip"], ["x-gzip"]):
        return _Unzipped(aiter(body))
    return _Refused(", ".join(codings))


class _Refused:
    """A body that fails when it is read."""

    def __init__(self, codings: str) -> None:
        self._named = "".join(filter(str.isprintable, codings[:_LONGEST_NAME]))

    def __aiter__(self) -> _Refused:
        return self

    async def __anext__(self) -> bytes:
        raise UpstreamBroken(
            f"upstream sent a compressed answer (content-encoding: {self._named}), which was not asked for; "
            "only gzip can be read"
        )


class _Unzipped:
    """gzip decoded while it is read. Not a generator, because a cancelled read must not end it."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._next = body.__anext__
        self._unpacker = zlib.decompressobj(_GZIP)
        self._packed = b""
        self._begun = False
        self._over = False

    def __aiter__(self) -> _Unzipped:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._packed:
                # a little input can expand to a lot: let other tasks run in between
                await asyncio.sleep(0)
            elif not self._over:
                try:
                    self._packed = await self._next()
                except StopAsyncIteration:
                    self._over = True
            if self._over and not self._packed and (self._unpacker.eof or not self._begun):
                raise StopAsyncIteration
            piece = self._unpacked()
            if piece:
                return piece
            if self._over and not self._packed and not self._unpacker.eof:
                raise UpstreamBroken(_CUT)

    def _unpacked(self) -> bytes:
        if not self._packed and not self._over:
            return b""
        if self._unpacker.eof:
            # members may be concatenated (RFC 1952, section 2.2)
            self._unpacker = zlib.decompressobj(_GZIP)
        self._begun = True
        try:
            piece = self._unpacker.decompress(self._packed, LONGEST_PIECE)
        except zlib.error:
            raise UpstreamBroken("upstream sent an answer that is not the gzip it says it is") from None
        self._packed = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
        return piece
