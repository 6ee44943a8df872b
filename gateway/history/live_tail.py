"""Live tail: requests as they start, stream and end, sent to whoever is watching.

`TailedRecorder` stands in front of the recorder and hears of every beginning and end; the progress of
all streams is polled twice a second. Changes go out as one message to a channel group. While nobody in
this process is watching, nothing is built or sent; a channel layer that reaches other processes cannot
know that, and always gets them. No exchange ever waits: sending is a task of its own, and what a slow
layer does not accept in time is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from channels.layers import InMemoryChannelLayer, get_channel_layer

from gateway.history.outcome import OPEN, ExchangeOutcome

logger = logging.getLogger("gateway.history")

GROUP: Final = "live-tail"
SETTLE: Final = 0.2
PROGRESS_EVERY: Final = 0.5
SEND_TIMEOUT: Final = 2.0
# rows waiting to be sent; the oldest are dropped first
MOST_WAITING: Final = 1000

Row = Mapping[str, Any]
FACTS: Final = (
    "request_id", "endpoint", "state", "status", "client_key_id", "key_name", "session_id", "agent_id",
    "asked_model", "provider", "upstream_model", "streamed", "stop_reason", "error_type", "input_tokens",
    "output_tokens", "cache_read_tokens", "first_byte_ms", "duration_ms", "attempts", "tools_called",
)  # fmt: skip


class OutcomeWriter(Protocol):
    """The writer of outcomes."""

    def opened(self, outcome: ExchangeOutcome) -> None: ...

    def closed(self, outcome: ExchangeOutcome) -> None: ...

    async def settled(self, outcome: ExchangeOutcome) -> None: ...


class Viewers:
    """The pages of this process that are watching. `changed` is called when the first one comes."""

    def __init__(self) -> None:
        self._pages: set[object] = set()
        self.changed: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._pages)

    def add(self, page: object) -> None:
        self._pages.add(page)
        if self.changed is not None:
            self.changed()

    def discard(self, page: object) -> None:
        self._pages.discard(page)


viewers = Viewers()


class LiveTail:
    """Informs the group. `progress`: a row for each running stream, with its `request_id`.

    Used in the event loop only.
    """

    def __init__(self, progress: Callable[[], Iterable[Row]]) -> None:
        self._progress = progress
        self._waiting: dict[str, Row] = {}
        self._open: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._everywhere = not isinstance(get_channel_layer(), InMemoryChannelLayer)
        viewers.changed = self._look_soon

    def tell(self, outcome: ExchangeOutcome) -> None:
        """An exchange has begun or ended."""
        if outcome.state != OPEN:
            self._open.discard(outcome.request_id)
        if not (viewers or self._everywhere):
            return
        if outcome.state == OPEN:
            self._open.add(outcome.request_id)
        self._waiting.pop(outcome.request_id, None)
        self._waiting[outcome.request_id] = row_of(outcome)
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._look_soon(SETTLE)

    def _look_soon(self, seconds: float = 0.0) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if not (viewers or self._everywhere):
            self._waiting.clear()
            self._open.clear()
            return
        if self._sending is not None and not self._sending.done():
            self._look_soon(PROGRESS_EVERY)
            return
        moving = list(self._progress())
        rows, self._waiting = [*self._waiting.values(), *moving], {}
        if rows:
            self._sending = asyncio.get_running_loop().create_task(_send(rows))
        # an exchange that was announced may not stream yet
        if moving or self._open:
            self._look_soon(PROGRESS_EVERY)


class TailedRecorder:
    """A recorder that tells the tail of everything it receives."""

    def __init__(self, recorder: OutcomeWriter, tail: LiveTail) -> None:
        self._recorder = recorder
        self._tail = tail

    def opened(self, outcome: ExchangeOutcome) -> None:
        self._recorder.opened(outcome)
        self._tail.tell(outcome)

    def closed(self, outcome: ExchangeOutcome) -> None:
        self._recorder.closed(outcome)
        self._tail.tell(outcome)

    async def settled(self, outcome: ExchangeOutcome) -> None:
        self._tail.tell(outcome)
        await self._recorder.settled(outcome)


def row_of(outcome: ExchangeOutcome) -> Row:
    """What the page shows of an outcome: facts, no content. `started_at` is ISO 8601."""
    row: dict[str, Any] = {name: getattr(outcome, name) for name in FACTS}
    row["started_at"] = outcome.started_at.isoformat()
    row["ledger_count"] = len(outcome.ledger)
    row["open"] = outcome.state == OPEN
    return row


async def _send(rows: list[Row]) -> None:
    layer = get_channel_layer()
    try:
        async with asyncio.timeout(SEND_TIMEOUT):
            await layer.group_send(GROUP, {"type": "tail.rows", "rows": rows})
    except Exception as problem:
        logger.warning("live tail not told", extra={"rows": len(rows), "problem": str(problem)})
