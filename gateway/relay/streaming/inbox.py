"""Inbox: where data from the provider waits for the writer.

What arrives while the writer is busy is handed over in one piece, so a burst becomes one write. A tick wakes
the writer without data. When more than `HIGH_WATER` bytes are waiting, the feed is paused until the writer
has taken them: the provider is read no faster than the client reads.

The feed is the provider's connection itself, which puts pieces as they arrive, or a reader task
(`InboxReader`) where a transport can only be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from gateway.errors import GatewayError
from gateway.upstream.client import Feed

HIGH_WATER: Final = 256 * 1024


class Inbox:
    """`take` returns bytes (b"" = only a tick) until `end` or `fail` and all data has been taken."""

    __slots__ = (
        "_discarding",
        "_ended",
        "_failure",
        "_feed",
        "_paused",
        "_pieces",
        "_size",
        "_straight",
        "_ticked",
        "_waiter",
    )

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._discarding = False
        self._failure: GatewayError | None = None
        self._ticked = False
        self._waiter: asyncio.Future[None] | None = None
        self._feed: Feed | None = None
        self._paused = False
        self._straight: Callable[[bytes], bool] | None = None

    def fed_by(self, feed: Feed) -> None:
        """The feed, which is told when to pause."""
        self._feed = feed

    def straight_to(self, taker: Callable[[bytes], bool]) -> None:
        """Offer each piece that finds the writer waiting to `taker` first, which may refuse it (False)."""
        self._straight = taker

    def put(self, piece: bytes) -> None:
        if self._discarding:
            return
        waiter = self._waiter
        if self._straight is not None and waiter is not None and not waiter.done() and self._straight(piece):
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > HIGH_WATER and self._feed is not None:
            self._feed.pause()
            self._paused = True
        self._wake()

    def end(self) -> None:
        """Nothing follows: the upstream's body is complete."""
        self._ended = True
        self._wake()

    def fail(self, failure: GatewayError) -> None:
        """Nothing follows, because of `failure`; data put before is still taken first."""
        self._failure = failure
        self._wake()

    def tick(self) -> None:
        """Wake the writer so that it looks at the clock."""
        self._ticked = True
        self._wake()

    def discard(self) -> None:
        """Forget what is waiting, because nobody takes any more, and let the feed run to its end."""
        self._discarding = True
        self._release()

    async def take(self) -> bytes | None:
        """Everything that arrived, waiting if there is nothing yet; b"" after a tick; None at the end.

        Raises the failure, once the data before it has been taken.
        """
        while not (self._pieces or self._ended or self._failure or self._ticked):
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._pieces:
            # a tick is pending; its sender sends no other until it was taken
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._release()
            return data
        self._ticked = False
        if self._failure is not None:
            raise self._failure
        return None if self._ended else b""

    def _release(self) -> None:
        self._pieces.clear()
        self._size = 0
        if self._paused and self._feed is not None:
            self._paused = False
            self._feed.resume()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class InboxReader:
    """Feeds an inbox from an async iterator, in a task of its own."""

    def __init__(self, pieces: AsyncIterator[bytes], inbox: Inbox) -> None:
        self._pieces = pieces
        self._inbox = inbox
        self._may_read = asyncio.Event()
        self._may_read.set()
        inbox.fed_by(self)

    def pause(self) -> None:
        self._may_read.clear()

    def resume(self) -> None:
        self._may_read.set()

    async def run(self) -> None:
        """Read to the end. Raises anything but GatewayError."""
        try:
            async for piece in self._pieces:
                self._inbox.put(piece)
                await self._may_read.wait()
            self._inbox.end()
        except GatewayError as failure:
            self._inbox.fail(failure)
