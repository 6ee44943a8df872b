"""LeanAnswer: one answer, filled by a connection, taken by one consumer.

Everything that is waiting is taken as one piece, so whatever arrived in one read (or while the
consumer was busy) is converted and sent on at once. When more than HIGH_WATER bytes are waiting, the
connection stops reading until they are taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Protocol

import httpx

HIGH_WATER: Final = 64 * 1024


class Source(Protocol):
    """The connection, as its answer sees it."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def give_up(self, answer: LeanAnswer) -> None: ...


class Sink(Protocol):
    """A sink for an answer's body, called in the event loop."""

    def put(self, piece: bytes) -> None: ...

    def end(self) -> None: ...

    def fail(self, failure: httpx.TransportError | httpx.StreamClosed) -> None: ...


class LeanAnswer(httpx.AsyncByteStream):
    """`status` (0 until the head arrives), `headers` as raw pairs, and the body as an async iterator.

    Its errors are httpx.TransportError, raised after the data that came before them.
    """

    __slots__ = (
        "_ended",
        "_failure",
        "_loop",
        "_paused",
        "_pieces",
        "_size",
        "_source",
        "_waiter",
        "headers",
        "sink",
        "status",
    )

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._source: Source | None = source
        self._loop = loop
        self._pieces: list[bytes] = []
        self._size = 0
        self._paused = False
        self._ended = False
        self._failure: httpx.TransportError | httpx.StreamClosed | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.sink: Sink | None = None

    # --- the consumer's side ------------------------------------------------------

    async def head(self) -> None:
        """Wait for status and headers. Raises what broke the exchange before they came."""
        while not self.status:
            if self._failure is not None:
                raise self._failure
            await self._woken()

    def __aiter__(self) -> LeanAnswer:
        return self

    async def __anext__(self) -> bytes:
        pieces = self._pieces
        while not pieces:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                raise StopAsyncIteration
            await self._woken()
        return self.at_hand()

    @property
    def complete(self) -> bool:
        """Whether all of it is here, or nothing more will come."""
        return self._ended or self._failure is not None

    def whole(self) -> bytes | None:
        """The body if all of it is here and none was taken; else None: read on."""
        return self.at_hand() if self._ended and self._failure is None else None

    def at_hand(self) -> bytes:
        """What is waiting, without waiting for more; b"" when there is nothing now."""
        pieces = self._pieces
        if not pieces:
            return b""
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        self.resume()
        return piece

    def deliver(self, sink: Sink) -> None:
        """Pass what is waiting to `sink`, and from now on whatever arrives: no task has to fetch it."""
        waiting = self.at_hand()
        if not self.complete:
            self.sink = sink
        if waiting:
            sink.put(waiting)
        if self._failure is not None:
            sink.fail(self._failure)
        elif self._ended:
            sink.end()

    def pause(self) -> None:
        """For the sink: pause reading."""
        if not self._paused and self._source is not None:
            self._paused = True
            self._source.pause()

    def resume(self) -> None:
        """For the sink: resume reading."""
        if self._paused:
            self._paused = False
            if self._source is not None:
                self._source.resume()

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection unless the answer is complete; forget what was not taken."""
        if self._source is not None:
            self._source.give_up(self)
            self._source = None
            self._failure = httpx.StreamClosed()
            self._wake()
        self._pieces.clear()

    def abandon(self) -> None:
        """`close` from a finaliser: in any thread, possibly after the loop has ended."""
        if self._source is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.close)

    # --- the connection's side ----------------------------------------------------

    def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.headers = headers
        self._wake()

    def put(self, piece: bytes) -> None:
        if self.sink is not None:
            self.sink.put(piece)
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > HIGH_WATER:
            self.pause()
        self._wake()

    def end(self) -> None:
        """The answer is complete; the connection is no longer ours."""
        self._ended = True
        self._source = None
        # an answer that is over must not keep its consumer alive
        sink, self.sink = self.sink, None
        if sink is not None:
            sink.end()
        self._wake()

    def fail(self, failure: httpx.TransportError) -> None:
        self._failure = failure
        self._source = None
        sink, self.sink = self.sink, None
        if sink is not None:
            sink.fail(failure)
        self._wake()

    # A future that only wakes: an exception set on it would be reported as lost when the waiting task is
    # cancelled in the same turn of the loop.
    async def _woken(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
