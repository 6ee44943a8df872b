"""Recorder: the end of an exchange is durable before its last event goes to the client.

One writer thread takes all that is waiting and writes it in one transaction
(group commit): while a commit is under way the next batch gathers. `settled`
returns when the commit is done. When the database does not answer within
`patience`, the outcome goes to a spool file that is fsynced, by a second thread,
and from there into the database once it answers. While commits go on the database
answers, and an outcome that waits behind others waits on: the file would cost more
than it. Nothing is dropped; a row's request id makes every way of writing it
harmless to repeat.

    queue -> writer thread -> database
      |         ^
      | late    | once the database answers
      v         |
    spooler thread -> spool file
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from django.db import connections

from gateway.audit import spool as spool_files
from gateway.audit.handover import Ended
from gateway.audit.masking import Masker, masker
from gateway.audit.outcome import ExchangeOutcome
from gateway.audit.rows import NO_PRICES, NOT_ANSWERING, write, write_singly
from gateway.audit.spool import Spool
from gateway.audit.token_factors import FactorLearner
from gateway.pricing.book import PriceBook

logger = logging.getLogger("gateway.audit")

PATIENCE: Final = 0.05
# beginnings are in no hurry: most exchanges end before, and are one insert then
IDLE_LOOK: Final = 0.5
# With several clients waiting, this much later their number is larger and the commit still one: half the
# cost of a batch does not depend on how many are in it. A single one is never kept waiting.
GATHER: Final = 0.0015
RETRY_SECONDS: Final = 1.0
# commits that follow each other quickly show that the database answers; a larger batch saves little more
LARGEST_BATCH: Final = 16
LARGEST_OF_SPOOL: Final = 200
# so long waits nobody, however busy the writer is
LONGEST_WAIT: Final = 1.0
FLUSH_TIMEOUT: Final = 20.0


class _Entry:
    """One outcome on its way; None once it is in the spool, so that an outage does not fill the memory.

    `waiter` is set when somebody waits for it to be durable, `late` then rings when the patience is over.
    """

    __slots__ = ("late", "outcome", "waiter")

    def __init__(self, outcome: ExchangeOutcome, waiter: asyncio.Future[None] | None = None) -> None:
        self.outcome: ExchangeOutcome | None = outcome
        self.waiter = waiter
        self.late: asyncio.TimerHandle | None = None


def _release(entries: Iterable[_Entry]) -> None:
    """Tell who waits, in its own loop, that the outcomes are durable; one call wakes a loop for all."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for entry in entries:
        if entry.waiter is not None:
            by_loop.setdefault(entry.waiter.get_loop(), []).append(entry.waiter)
    for loop, waiters in by_loop.items():
        # a closed loop raises RuntimeError: nobody waits any more
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_set, waiters)


def _set(waiters: Iterable[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


class Recorder:
    """`opened` and `closed` never wait, `settled` waits for durability. `stop` writes what is left.

    `spool_folder`: where outcomes go while the database does not answer; `name`
    tells this process's files from others'. `patience` in seconds. `prices` gives the
    price book in force, `mask` what masks secrets before anything is written. `hand_over` is
    told what was written and has ended.
    """

    def __init__(
        self,
        spool_folder: Path,
        name: str,
        *,
        patience: float = PATIENCE,
        prices: Callable[[], PriceBook] = lambda: NO_PRICES,
        mask: Callable[[], Masker] = masker,
        hand_over: Callable[[list[Ended]], object] = lambda _ended: None,
    ) -> None:
        self._queue: deque[_Entry] = deque()
        self._late: deque[_Entry] = deque()
        self._spool = Spool(spool_folder, name)
        self._spool_lock = threading.Lock()
        # those in its files that the database has not taken from memory meanwhile
        self._only_spooled: set[_Entry] = set()
        self._patience = patience
        self._prices = prices
        self._factors = FactorLearner()
        self._mask = mask
        self._hand_over = hand_over
        self._wake = threading.Event()
        self._wake_spooler = threading.Event()
        self._stopping = threading.Event()
        # nothing more will be late
        self._all_late = threading.Event()
        self._committed_at = 0.0
        # the last batch held several that were waited for
        self._crowded = False
        self._threads: list[threading.Thread] = []
        self._start_lock = threading.Lock()

    def opened(self, outcome: ExchangeOutcome) -> None:
        """An exchange has arrived."""
        self._put(_Entry(outcome))

    def closed(self, outcome: ExchangeOutcome) -> None:
        """An exchange has ended; `outcome` replaces the row it opened with."""
        self._put(_Entry(outcome))
        self._wake_writer()

    async def settled(self, outcome: ExchangeOutcome) -> None:
        """`closed`, and wait until it is in the database or in the spool file."""
        loop = asyncio.get_running_loop()
        entry = _Entry(outcome, loop.create_future())
        self._put(entry)
        self._wake_writer()
        longest = loop.time() + max(self._patience, LONGEST_WAIT)
        entry.late = loop.call_later(self._patience, self._not_yet, entry, longest)
        try:
            assert entry.waiter is not None
            await entry.waiter
        finally:
            entry.late.cancel()

    def stop(self, timeout: float = FLUSH_TIMEOUT) -> None:
        """Write what is waiting, to the spool if the database does not answer, then end the threads."""
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            if thread.name == "recorder" and thread.is_alive():
                thread.join(timeout)
        self._late.extend(self._queue)
        self._all_late.set()
        self._wake_spooler.set()
        for thread in self._threads:
            thread.join(timeout)

    def recover(self, folder: Path) -> int:
        """Write the outcomes that dead processes left in their spool files; their number.

        Raises what the database raises; the files stay then.
        """
        number = 0
        for path in spool_files.abandoned(folder):
            number += self._write_file(path)
            path.unlink(missing_ok=True)
        return number

    def _put(self, entry: _Entry) -> None:
        self._queue.append(entry)
        if not self._threads:
            self._start()

    def _wake_writer(self) -> None:
        if not self._wake.is_set():
            self._wake.set()

    def _start(self) -> None:
        with self._start_lock:
            if not self._threads:
                # daemons, because atexit runs after other threads were joined
                self._threads = [
                    threading.Thread(target=self._write_on, name="recorder", daemon=True),
                    threading.Thread(target=self._spool_on, name="spooler", daemon=True),
                ]
                for thread in self._threads:
                    thread.start()
                atexit.register(self.stop)

    # --- the writer thread ------------------------------------------------------

    def _write_on(self) -> None:
        while not (self._stopping.is_set() and not self._queue):
            self._wake.wait(IDLE_LOOK)
            self._wake.clear()
            while self._queue or not self._spool.empty:
                last_try = self._stopping.is_set()
                if not self._write_next():
                    if last_try:
                        # stop() gives the rest to the spooler
                        connections.close_all()
                        return
                    self._stopping.wait(RETRY_SECONDS)
        connections.close_all()

    def _write_next(self) -> bool:
        """Write one batch, or what the spool holds. False when the database does not answer.

        The thread keeps its connection: a new one for each batch costs more than the batch.
        """
        if self._crowded and len(self._queue) < LARGEST_BATCH:
            self._stopping.wait(GATHER)
        batch = list(islice(self._queue, LARGEST_BATCH))
        try:
            # looked at once: the spooler takes outcomes away meanwhile
            held = {entry: outcome for entry in batch if (outcome := entry.outcome) is not None}
            written = list(held.values())
            self._write(written)
            for _ in batch:
                self._queue.popleft()
            if written:
                self._committed_at = time.monotonic()
                if self._only_spooled:
                    with self._spool_lock:
                        self._only_spooled.difference_update(held)
            _release(batch)
            self._crowded = sum(entry.waiter is not None for entry in batch) > 1
            self._factors.note(written)
            if not self._queue:
                self._write_spooled()
        except NOT_ANSWERING as problem:
            logger.error("history not written, trying again", extra={"problem": str(problem)})
            connections.close_all()
            return False
        except Exception:
            # nobody else writes: without this thread every answer would wait for its last event
            logger.exception("unexpected error while writing the history, trying again")
            return False
        return True

    def _write_spooled(self) -> None:
        """Write what is in the files, unless all of it was in a commit that was merely slow.

        Reading it back costs more than all that was done with it before.
        """
        with self._spool_lock:
            files, only_there = self._spool.rotate(), set(self._only_spooled)
        for path in files:
            rows = self._write_file(path) if only_there else 0
            with self._spool_lock:
                self._spool.done(path)
            if rows:
                logger.warning("history written from the spool", extra={"rows": rows})
        if only_there:
            with self._spool_lock:
                self._only_spooled -= only_there

    def _write_file(self, path: Path) -> int:
        number = 0
        for batch in _batches(spool_files.read(path)):
            self._write(batch)
            number += len(batch)
        return number

    def _write(self, outcomes: list[ExchangeOutcome]) -> None:
        if not outcomes:
            return
        prices, mask = self._prices(), self._mask()
        try:
            ended = write(outcomes, prices, mask)
        except NOT_ANSWERING:
            raise
        except Exception:
            logger.exception("a batch of history was refused, writing it row by row")
            ended = write_singly(outcomes, prices, mask)
        self._hand_over(ended)

    # --- the spooler thread -----------------------------------------------------

    def _not_yet(self, entry: _Entry, longest: float) -> None:
        """The patience is over: wait on behind others while the database answers, else to the file."""
        loop = asyncio.get_running_loop()
        answers = time.monotonic() - self._committed_at < self._patience
        if answers and loop.time() < longest:
            entry.late = loop.call_later(self._patience, self._not_yet, entry, longest)
        else:
            self._give_to_spooler(entry)

    def _give_to_spooler(self, entry: _Entry) -> None:
        self._late.append(entry)
        self._wake_spooler.set()

    def _spool_on(self) -> None:
        while True:
            self._wake_spooler.wait()
            self._wake_spooler.clear()
            # an entry may be late twice: by the clock, and at the end of the process
            batch = list(dict.fromkeys(self._late.popleft() for _ in range(len(self._late))))
            if batch:
                self._spool_batch(batch)
            if self._all_late.is_set() and not self._late:
                return

    def _spool_batch(self, batch: list[_Entry]) -> None:
        spooled = list(self._lines(batch))
        try:
            if spooled:
                with self._spool_lock:
                    self._spool.append(line for _, line in spooled)
                    self._only_spooled.update(entry for entry, _ in spooled)
        except OSError as problem:
            # the entries stay in memory for the database; no client waits for a disk that is full
            logger.error("spool not written", extra={"rows": len(batch), "problem": str(problem)})
        else:
            for entry, _ in spooled:
                entry.outcome = None
        _release(batch)
        self._wake.set()

    def _lines(self, batch: list[_Entry]) -> Iterator[tuple[_Entry, bytes]]:
        """Entries with their lines; one that none can be made of stays in memory for the database."""
        for entry in batch:
            outcome = entry.outcome
            if outcome is None:
                continue
            try:
                yield entry, spool_files.as_line(_masked(outcome, self._mask()))
            except Exception:
                logger.exception("unexpected error while spooling", extra={"request_id": outcome.request_id})


def _masked(outcome: ExchangeOutcome, mask: Masker) -> ExchangeOutcome:
    if outcome.bodies is None:
        return outcome
    bodies, count = mask.bodies(outcome.bodies)
    return dataclasses.replace(outcome, bodies=bodies, masked_count=outcome.masked_count + count)


def _batches(outcomes: Iterable[ExchangeOutcome]) -> Iterator[list[ExchangeOutcome]]:
    source = iter(outcomes)
    while batch := list(islice(source, LARGEST_OF_SPOOL)):
        yield batch
