"""RefusedKeys: counts client keys that were sent and refused.

Requests do not wait for it, and a flood of guesses makes few rows: refusals between two writes are added up,
and at most MOST_UNKNOWN unknown keys a day have rows of their own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from django.db import connection, transaction

from gateway.history.statements import Statement
from gateway.models import RefusedKey
from gateway.models.base import storable_text

logger = logging.getLogger("gateway.history")

# unknown keys with rows of their own, a day and process
MOST_UNKNOWN: Final = 100
# seconds between two writes, and after one that failed
PAUSE: Final = 1.0
PAUSE_AFTER_FAILURE: Final = 10.0
LONGEST_STOP: Final = 2.0
_LONGEST_ADDRESS: Final = 64

_TABLE: Final = RefusedKey._meta.db_table
_ADD: Final = Statement(
    f"INSERT INTO {_TABLE} (day, client_key_pk, prefix, reason, times, first_at, last_at, last_address) "  # noqa: S608
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (day, client_key_pk, prefix, reason) DO UPDATE SET "
    f"times = {_TABLE}.times + excluded.times, last_at = excluded.last_at, "
    "last_address = excluded.last_address"
)


class RefusalSlot(NamedTuple):
    """RefusedKey.SLOT."""

    day: date
    client_key_pk: int
    prefix: str
    reason: str


class RefusalCount(NamedTuple):
    """What is added to a slot; times in Unix seconds."""

    times: int
    first: float
    last: float
    address: str


class RefusedKeys:
    """`note` never waits. `clock` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._waiting: dict[RefusalSlot, RefusalCount] = {}
        self._unknown: set[RefusalSlot] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def note(self, client_key_pk: int, prefix: str, reason: str, address: str) -> None:
        """Count one refusal. `prefix`: what may be kept of the key; `address`: the client's."""
        now = self._clock()
        slot = RefusalSlot(datetime.fromtimestamp(now, UTC).date(), client_key_pk, prefix[:12], reason)
        with self._changed:
            if not client_key_pk:
                slot = self._told_apart(slot)
            known = self._waiting.get(slot)
            times, first = (known.times, known.first) if known else (0, now)
            self._waiting[slot] = RefusalCount(
                times + 1, first, now, storable_text(address, _LONGEST_ADDRESS)
            )
            if self._thread is None:
                self._stopping = False
                self._thread = threading.Thread(target=self._work_on, name="refused-keys", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Write what waits. Raises what the database raises; nothing is lost by it."""
        with self._changed:
            taken, self._waiting = self._waiting, {}
        try:
            write(taken)
        except BaseException:
            with self._changed:
                for slot, facts in taken.items():
                    later = self._waiting.get(slot)
                    self._waiting[slot] = _joined(facts, later) if later else facts
            raise

    def stop(self, timeout: float = LONGEST_STOP) -> None:
        """Write what is left, within `timeout` seconds."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._stopping = True
            self._changed.notify_all()
        if thread is not None:
            thread.join(timeout)

    def _told_apart(self, slot: RefusalSlot) -> RefusalSlot:
        """The slot itself, or the one of all unknown keys when there are too many of them."""
        if self._unknown and next(iter(self._unknown)).day != slot.day:
            self._unknown.clear()
        if slot not in self._unknown:
            if len(self._unknown) >= MOST_UNKNOWN:
                return slot._replace(prefix="")
            self._unknown.add(slot)
        return slot

    def _work_on(self) -> None:
        pause = PAUSE
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return
                # refusals that arrive meanwhile are written together
                self._changed.wait_for(lambda: self._stopping, pause)
                stopping = self._stopping
            try:
                self.flush()
                pause = PAUSE
            except Exception as problem:
                pause = PAUSE_AFTER_FAILURE
                logger.error("refused keys not written", extra={"problem": str(problem)[:500]})
                if stopping:
                    return
            finally:
                connection.close()


def write(refused: dict[RefusalSlot, RefusalCount]) -> None:
    """Add these to the table. Raises what the database raises."""
    rows = [
        (*slot, facts.times, _moment(facts.first), _moment(facts.last), facts.address)
        for slot, facts in sorted(refused.items())
    ]
    if not rows:
        return
    adapted = [[_adapted(value) for value in row] for row in rows]
    with transaction.atomic():
        _ADD.many(adapted)


def _adapted(value: object) -> object:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return connection.ops.adapt_datefield_value(value) if isinstance(value, date) else value


def _joined(earlier: RefusalCount, later: RefusalCount) -> RefusalCount:
    return RefusalCount(earlier.times + later.times, earlier.first, later.last, later.address)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
