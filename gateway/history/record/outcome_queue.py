"""The outcomes that wait in memory, oldest first, and the clients that wait for them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

from gateway.history.outcome import ExchangeOutcome
from gateway.history.record.storable import without_texts

# outcomes, and bytes of their text, that are serialised or read back at once
PORTION: Final = 200
PORTION_BYTES: Final = 8_000_000

T = TypeVar("T")


class Entry:
    """One outcome on its way; None once it is in the spool, and then it leaves the queue.

    `waiter` is set when somebody waits for durability; `late` then fires when the patience is over.
    """

    __slots__ = ("late", "outcome", "since", "waiter")

    def __init__(self, outcome: ExchangeOutcome, waiter: asyncio.Future[None] | None = None) -> None:
        self.outcome: ExchangeOutcome | None = outcome
        self.waiter = waiter
        self.since = time.monotonic()
        self.late: asyncio.TimerHandle | None = None

    @property
    def size(self) -> int:
        """Bytes of the outcome's texts."""
        return size_of(self.outcome)


class OutcomeQueue:
    """The entries that the database has not taken. Every method may be called in any thread."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        # held by whoever takes entries out, and by whoever walks through them
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)

    def oldest(self, most: int) -> list[Entry]:
        """Up to `most` entries, which stay in the queue."""
        with self._lock:
            return list(islice(self._entries, most))

    def waiting_since(self, moment: float) -> list[Entry]:
        """The entries put at or before this moment of the monotonic clock, which stay in the queue."""
        found = []
        with self._lock:
            for entry in self._entries:
                if entry.since > moment:
                    # the rest is younger
                    break
                found.append(entry)
        return found

    def remove(self, batch: Iterable[Entry]) -> None:
        """Take out what `oldest` gave; the spooler may have taken some of it meanwhile."""
        written = set(batch)
        with self._lock:
            while self._entries and self._entries[0] in written:
                self._entries.popleft()

    def remove_spooled(self) -> None:
        """Take out the entries whose outcome is in the spool."""
        with self._lock:
            self._entries = deque(entry for entry in self._entries if entry.outcome is not None)

    def shed_texts(self, most: int) -> int:
        """Drop the oldest outcomes' texts until the texts take at most `most` bytes; how many outcomes lost
        theirs.
        """
        with self._lock:
            entries = list(self._entries)
        too_much = sum(entry.size for entry in entries) - most
        number = 0
        for entry in entries:
            if too_much <= 0:
                break
            outcome, size = entry.outcome, entry.size
            if outcome is not None and size:
                entry.outcome = without_texts(
                    outcome, "neither the database nor the disk had room for the texts"
                )
                too_much -= size
                number += 1
        return number


def release(entries: Iterable[Entry]) -> None:
    """Tell the waiters, in their own loop, that the outcomes are durable; one call wakes a loop for all."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for entry in entries:
        if entry.waiter is not None:
            by_loop.setdefault(entry.waiter.get_loop(), []).append(entry.waiter)
    for loop, waiters in by_loop.items():
        # a closed loop raises RuntimeError; nobody waits in it
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_set, waiters)


def _set(waiters: Iterable[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def size_of(outcome: ExchangeOutcome | None) -> int:
    """Bytes of the texts that an outcome holds."""
    bodies = None if outcome is None else outcome.bodies
    if bodies is None:
        return 0
    return len(bodies.received) + len(bodies.sent) + len(bodies.answered) + len(bodies.returned)


def portions(sized: Iterable[tuple[T, int]]) -> Iterator[list[T]]:
    """Items, each with its size in bytes, as lists that are bounded in number and bytes."""
    portion: list[T] = []
    size = 0
    for item, item_size in sized:
        portion.append(item)
        size += item_size
        if len(portion) >= PORTION or size >= PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
