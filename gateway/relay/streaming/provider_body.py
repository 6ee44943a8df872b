"""ProviderBody: the rest of the provider's answer after its first events.

After the last event the body is read to its end for a moment, so that the connection can be reused. The
connection of an abandoned answer is closed at once.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from gateway.errors import UpstreamBroken
from gateway.relay.attempt import Opened
from gateway.relay.streaming.inbox import Inbox, InboxReader
from gateway.upstream.client import UpstreamAnswer

logger = logging.getLogger("gateway.relay")

# seconds for which a connection is read after the last event
DRAIN_SECONDS: Final = 1.0
# the event loop keeps only weak references to tasks
_draining: set[asyncio.Task[None]] = set()


class ProviderBody:
    """Fills `inbox` from `begin` on. `reader`: the task that does it, for a transport that needs one."""

    __slots__ = ("_answer", "_inbox", "_loop", "_request_id", "reader")

    def __init__(self, inbox: Inbox, loop: asyncio.AbstractEventLoop, request_id: str) -> None:
        self._inbox = inbox
        self._loop = loop
        self._request_id = request_id
        self._answer: UpstreamAnswer | None = None
        self.reader: asyncio.Task[None] | None = None

    def begin(self, opened: Opened) -> None:
        """From here on, what arrives goes into the inbox. `opened` has an answer."""
        assert opened.answer is not None
        self._answer = opened.answer
        if not opened.answer.deliver(self._inbox):
            self.reader = self._loop.create_task(self._read(opened))

    async def _read(self, opened: Opened) -> None:
        """For a transport that cannot deliver into an inbox."""
        assert opened.answer is not None and opened.pieces is not None
        try:
            await InboxReader(opened.pieces, self._inbox).run()
        except Exception:
            logger.exception("unexpected error", extra={"request_id": self._request_id})
            self._inbox.fail(UpstreamBroken("upstream closed the stream before the response was complete"))
        finally:
            await opened.answer.close()

    def drain(self, *, at_once: bool) -> None:
        """Let the body end, or close it if there is nothing to wait for."""
        self._inbox.discard()
        reader = self.reader
        if reader is not None:
            if not reader.done():
                _hold(reader)
                # a task that is cancelled before its first step never reaches its `finally`
                self._loop.call_later(0.0 if at_once else DRAIN_SECONDS, reader.cancel)
        elif self._answer is not None and not self._answer.complete:
            if at_once:
                self._answer.cut()
            else:
                self._loop.call_later(DRAIN_SECONDS, self._answer.cut)

    def cut(self) -> None:
        """Close the body, which nobody reads any more."""
        if self._answer is not None:
            self._answer.cut()


def close_unread(opening: asyncio.Task[Opened] | None, loop: asyncio.AbstractEventLoop) -> None:
    """Close an answer that began after its reader gave up."""
    if opening is None or not opening.done() or opening.cancelled() or opening.exception() is not None:
        return
    answer = opening.result().answer
    if answer is not None:
        _hold(loop.create_task(answer.close()))


def _hold(task: asyncio.Task[None]) -> None:
    _draining.add(task)
    task.add_done_callback(_draining.discard)
