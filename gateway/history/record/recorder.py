"""Recorder: the end of an exchange is durable before its last event goes to the client.

One writer thread takes everything that is waiting and writes it in one transaction (group commit):
while a commit is running, the next batch gathers. `settled` returns when the commit is done. When the
database does not answer within `patience`, a second thread writes the outcome to a spool file and
fsyncs it; from there it goes into the database once that answers. Outcomes that nobody waits for go
there after OVERDUE seconds, so an outage fills the disk and not the memory. As long as commits succeed,
the database is answering, and an outcome that waits behind others keeps waiting: the file would cost
more. Nothing is dropped; a row's request id makes it harmless to write it more than once. A row that the
database refuses is kept in a file beside the spool (`spool.keep_refused`).

    queue -> writer thread -> database
      |         ^
      | late    | once the database answers
      v         |
    spooler thread -> spool file
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from django.db import connections

from gateway.history.follow_up_queue import EndedExchange
from gateway.history.outcome import ExchangeOutcome
from gateway.history.record import spool as spool_files
from gateway.history.record.outcome_queue import Entry, OutcomeQueue, portions, release, size_of
from gateway.history.record.rows import NO_PRICES, write, write_singly
from gateway.history.record.spool import Spool
from gateway.history.record.spool_lines import RefusedRows, masked_line
from gateway.history.secrets.masker import Masker, masker
from gateway.history.totals.token_factors import FactorLearner
from gateway.models.database_errors import concerns_server
from gateway.pricing.book import PriceBook

logger = logging.getLogger("gateway.history")

PATIENCE: Final = 0.05
# beginnings are not urgent: most exchanges end before, and are a single insert then
IDLE_LOOK: Final = 0.5
# Wait this long (s) before draining when several clients are waiting, so that more outcomes share one
# commit: half the cost of a batch does not depend on its size. A single one is never kept waiting.
GATHER: Final = 0.0015
RETRY_SECONDS: Final = 1.0
# commits in quick succession show that the database answers; a larger batch saves little more
LARGEST_BATCH: Final = 16
# nobody waits longer than this, however busy the writer is
LONGEST_WAIT: Final = 1.0
# Outcomes that nobody waits for go to the file after this time if nothing is committed;
OVERDUE: Final = 1.0
# and after this time in any case, because the database is slower than the clients.
LONG_OVERDUE: Final = 5.0
# Bytes of text in memory when the disk accepts nothing either. Beyond this, rows are kept without texts.
MOST_HELD: Final = 64_000_000
COMPLAIN_EVERY: Final = 30.0
FLUSH_TIMEOUT: Final = 20.0


class Recorder:
    """`opened` and `closed` never wait, `settled` waits for durability. `stop` writes what is left.

    `spool_folder`: where outcomes go while the database does not answer; `name` distinguishes this process's
    files from others'. `patience` in seconds. `prices` gives the price book in force, `mask` masks secrets
    before anything is written. `hand_over` gets everything that was written and has ended. `tell` gets, after
    each batch that was tried, how many outcomes wait in memory and whether the batch was committed.
    """

    def __init__(
        self,
        spool_folder: Path,
        name: str,
        *,
        patience: float = PATIENCE,
        prices: Callable[[], PriceBook] = lambda: NO_PRICES,
        mask: Callable[[], Masker] = masker,
        hand_over: Callable[[list[EndedExchange]], object] = lambda _ended: None,
        tell: Callable[[int, bool], object] = lambda _waiting, _committed: None,
    ) -> None:
        self._queue = OutcomeQueue()
        self._late: deque[Entry] = deque()
        self._spool = Spool(spool_folder, name)
        self._refused = RefusedRows(spool_folder, name, mask)
        self._spool_lock = threading.Lock()
        # outcomes in its files that the database has not taken from memory meanwhile
        self._only_spooled = 0
        self._complained_at = float("-inf")
        self._patience = patience
        self._prices = prices
        self._factors = FactorLearner()
        self._mask = mask
        self._hand_over = hand_over
        self._tell = tell
        # since when the database does not answer
        self._away_since: float | None = None
        self._wake = threading.Event()
        self._wake_spooler = threading.Event()
        self._stopping = threading.Event()
        # no more entries will become late
        self._all_late = threading.Event()
        self._committed_at = 0.0
        # several clients waited for outcomes of the last batch
        self._crowded = False
        # set by `stop`: what is not in the database by then stays in the files
        self._deadline = float("inf")
        self._threads: list[threading.Thread] = []
        self._start_lock = threading.Lock()

    def opened(self, outcome: ExchangeOutcome) -> None:
        """An exchange has arrived."""
        self._put(Entry(outcome))

    def closed(self, outcome: ExchangeOutcome) -> None:
        """An exchange has ended; `outcome` replaces the row it opened with."""
        self._put(Entry(outcome))
        self._wake_writer()

    async def settled(self, outcome: ExchangeOutcome) -> None:
        """`closed`, and wait until it is in the database or in the spool file."""
        loop = asyncio.get_running_loop()
        entry = Entry(outcome, loop.create_future())
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
        """Write what is waiting, to the spool if the database does not answer, and end the threads.

        Returns within `timeout` seconds. What was already in the files may stay there for the next start.
        """
        if self._all_late.is_set():
            return
        end = time.monotonic() + timeout
        # half of the time is for the files, because they are certain
        self._deadline = time.monotonic() + timeout / 2
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            if thread.name == "recorder":
                _join(thread, self._deadline)
        self._all_late.set()
        self._wake_spooler.set()
        for thread in self._threads:
            _join(thread, end)
        if self._queue:
            logger.error(
                "history is lost: neither database nor disk took it", extra={"rows": len(self._queue)}
            )

    def recover(self, folder: Path) -> int:
        """Write the outcomes that dead processes left in their spool files; returns how many.

        Raises what the database raises; the files stay then.
        """
        number = 0
        for path in spool_files.abandoned(folder):
            written = self._write_file(path)
            if written is None:
                break
            number += written
            path.unlink(missing_ok=True)
        return number

    def _put(self, entry: Entry) -> None:
        self._queue.put(entry)
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
                        _close_connections()
                        return
                    self._stopping.wait(RETRY_SECONDS)
        _close_connections()

    def _write_next(self) -> bool:
        """Write one batch, or what the spool holds. False when the database does not answer.

        The thread keeps its connection: a new one for each batch costs more than the batch.
        """
        if self._crowded and len(self._queue) < LARGEST_BATCH:
            self._stopping.wait(GATHER)
        batch = self._queue.oldest(LARGEST_BATCH)
        try:
            # read once, because the spooler may take outcomes meanwhile
            held = {entry: outcome for entry in batch if (outcome := entry.outcome) is not None}
            written = list(held.values())
            self._write(written)
        except Exception as problem:
            # nobody else writes: without this thread every answer would wait for its last event
            self._complain(problem)
            _close_connections()
            return False
        self._queue.remove(batch)
        self._answers_again()
        self._tell(len(self._queue), bool(written))
        if written:
            self._committed_at = time.monotonic()
            with self._spool_lock:
                self._only_spooled -= sum(entry.outcome is None for entry in held)
        release(batch)
        self._crowded = sum(entry.waiter is not None for entry in batch) > 1
        try:
            self._factors.note(written)
            return bool(self._queue) or self._write_spooled()
        except Exception as problem:
            self._complain(problem)
            _close_connections()
            return False

    def _complain(self, problem: Exception) -> None:
        """One line for an outage of the database, and a traceback for each fault of ours."""
        self._tell(len(self._queue), False)
        if not concerns_server(problem):
            logger.error("unexpected error while writing the history, trying again", exc_info=problem)
        elif self._away_since is None:
            self._away_since = time.monotonic()
            logger.error("history not written, trying again", extra={"problem": str(problem)})

    def _answers_again(self) -> None:
        if self._away_since is not None:
            seconds = round(time.monotonic() - self._away_since, 1)
            self._away_since = None
            logger.warning("history is written again", extra={"seconds": seconds})

    def _write_spooled(self) -> bool:
        """Write what is in the files, unless all of it was in a commit that was merely slow.

        Reading it back costs more than everything done with it before. False: there was not enough time.
        """
        with self._spool_lock:
            files, only_there = self._spool.rotate(), self._only_spooled
        for path in files:
            rows = self._write_file(path) if only_there else 0
            if rows is None:
                return False
            with self._spool_lock:
                self._spool.done(path)
            if rows:
                # a commit was slower than HISTORY_PATIENCE: ordinary on a busy machine
                logger.info("history written from the spool", extra={"rows": rows})
        if only_there:
            with self._spool_lock:
                self._only_spooled -= only_there
        return True

    def _write_file(self, path: Path) -> int | None:
        """How many outcomes were written; None: the process ends before all are."""
        number = 0
        outcomes = spool_files.read(path, self._refused.keep_line)
        for batch in portions((outcome, size_of(outcome)) for outcome in outcomes):
            if time.monotonic() > self._deadline:
                return None
            self._write(batch)
            number += len(batch)
        return number

    def _write(self, outcomes: list[ExchangeOutcome]) -> None:
        if not outcomes:
            return
        prices, mask = self._prices(), self._mask()
        try:
            ended = write(outcomes, prices, mask)
        except Exception as problem:
            if concerns_server(problem):
                raise
            logger.warning(
                "a batch of history was refused, writing it row by row", extra={"problem": str(problem)[:500]}
            )
            ended = write_singly(outcomes, prices, mask, self._refused.keep)
        try:
            self._hand_over(ended)
        except Exception:
            # the follow-up finds it in its queue
            logger.exception("unexpected error while handing over what was written")

    # --- the spooler thread -----------------------------------------------------

    def _not_yet(self, entry: Entry, longest: float) -> None:
        """The patience is over: keep waiting behind others while the database answers, else go to
        the file.
        """
        loop = asyncio.get_running_loop()
        answers = time.monotonic() - self._committed_at < self._patience
        if answers and loop.time() < longest:
            entry.late = loop.call_later(self._patience, self._not_yet, entry, longest)
        else:
            self._give_to_spooler(entry)

    def _give_to_spooler(self, entry: Entry) -> None:
        self._late.append(entry)
        self._wake_spooler.set()

    def _spool_on(self) -> None:
        while True:
            self._wake_spooler.wait(IDLE_LOOK)
            self._wake_spooler.clear()
            last = self._all_late.is_set()
            try:
                for portion in portions((entry, entry.size) for entry in self._due(everything=last)):
                    self._spool_batch(portion)
            except Exception:
                # without this thread an outage would block every answer and fill the memory
                logger.exception("unexpected error while spooling")
            if last:
                return

    def _due(self, *, everything: bool) -> list[Entry]:
        """The entries that go to the file now: the late ones, and those that have waited too long."""
        # an entry may be late twice: by the clock, and by its place in the queue
        due = dict.fromkeys(self._late.popleft() for _ in range(len(self._late)))
        now = time.monotonic()
        longest = OVERDUE if now - self._committed_at > OVERDUE else LONG_OVERDUE
        since = float("inf") if everything else now - longest
        return list(due | dict.fromkeys(self._queue.waiting_since(since)))

    def _spool_batch(self, batch: list[Entry]) -> None:
        # an outcome that cannot be serialised stays in memory for the database
        spooled = [
            (entry, line)
            for entry in batch
            if (outcome := entry.outcome) is not None and (line := masked_line(outcome, self._mask))
        ]
        try:
            if spooled:
                with self._spool_lock:
                    self._spool.append(line for _, line in spooled)
                    self._only_spooled += len(spooled)
                    for entry, _ in spooled:
                        entry.outcome = None
        except OSError as problem:
            # the entries stay in memory for the database; no client waits for a full disk
            if time.monotonic() - self._complained_at > COMPLAIN_EVERY:
                self._complained_at = time.monotonic()
                logger.error("spool not written", extra={"rows": len(batch), "problem": str(problem)})
            lost = self._queue.shed_texts(MOST_HELD)
            if lost:
                logger.error(
                    "texts of exchanges are lost: no room in memory or on disk", extra={"rows": lost}
                )
        self._queue.remove_spooled()
        release(batch)
        # also where the writer hangs in a commit
        self._tell(len(self._queue), False)
        self._wake.set()


def _join(thread: threading.Thread, end: float) -> None:
    """Wait for a thread until `end` on the monotonic clock."""
    if thread.is_alive():
        thread.join(max(0.0, end - time.monotonic()))


def _close_connections() -> None:
    try:
        connections.close_all()
    except Exception:
        logger.exception("a connection to the database could not be closed")
