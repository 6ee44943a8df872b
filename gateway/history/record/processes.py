"""Liveness of gateway processes, and recovery of what dead ones left.

Each process holds a lock on a file of its name for as long as it lives, and a record whose `seen_at` it
updates. On one machine the lock decides: the system releases it however the process ends. Of another
machine only the record is known (also of one with the same name and path but another volume, which
has no such file): a process not seen for STALE seconds is considered dead. One that was only cut off
writes its record again, and the ends of its exchanges replace the 'interrupted' that others noted.

A dead process may leave outcomes in its spool files, which other processes of its machine write, and
rows that it opened, which become 'interrupted'. Ends from a spool replace that whenever they come.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO, Final

from django.db import connection
from django.db.models.functions import Now

from gateway.history.outcome import INTERRUPTED, OPEN
from gateway.history.record.rows import queue_follow_up
from gateway.history.totals import hourly
from gateway.models import RequestLog, ServingProcess

logger = logging.getLogger("gateway.history")

SUFFIX: Final = ".alive"
# seconds
BEAT: Final = 5.0
STALE: Final = 30.0
GOODBYE: Final = 2.0
REASON: Final = "the gateway's process ended before the answer did"
_AT_ONCE: Final = 500


class OthersServe(Exception):
    """Processes that serve, by name."""


class OwnProcess:
    """This process among the serving ones. `recover` writes what dead ones left in spool files."""

    def __init__(self, folder: Path, recover: Callable[[], object]) -> None:
        host = socket.gethostname()
        self.name = f"{host[:40]}/{os.getpid()}-{secrets.token_hex(4)}"
        self.machine = f"{host}:{folder.resolve()}"[:300]
        self._folder = folder
        self._recover = recover
        self._lock: IO[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()

    def begin(self) -> None:
        """Take the lock, register, and settle what others left; before the first exchange.

        Raises what the database raises, and OSError.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock_path(self._folder, self.name).open("ab")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._beat()
        self.settle_the_dead()

    def start(self) -> None:
        """Keep doing so, in a thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="processes", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Deregister, after everything of this process was written."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(BEAT)
        # a process that cannot deregister is found dead; an unreachable database must not delay the end
        goodbye = threading.Thread(target=self._say_goodbye, name="goodbye", daemon=True)
        goodbye.start()
        goodbye.join(GOODBYE)
        if self._lock is not None:
            _lock_path(self._folder, self.name).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Settle what dead processes left; while it lasts, this one counts among the serving.

        Raises OthersServe, what the database raises, and OSError.
        """
        self.begin()
        try:
            others = self._living() - {self.name}
            if others:
                raise OthersServe(", ".join(sorted(others)))
            yield
        finally:
            self.end()

    def _say_goodbye(self) -> None:
        try:
            ServingProcess.objects.filter(name=self.name).delete()
        except Exception as problem:
            logger.warning("this process cannot say that it ends", extra={"problem": str(problem)})
        finally:
            _close_connection()

    def settle_the_dead(self) -> int:
        """Write their spool files, and mark the rows that nobody will end; returns how many."""
        self._recover()
        opened = RequestLog.objects.order_by().filter(state=OPEN).exclude(served_by=self.name)
        # rows first: whoever opened one of them was registered before
        rows = list(opened.values_list("request_id", "served_by"))
        living = self._living()
        number = interrupt([request_id for request_id, process in rows if process not in living])
        if number:
            logger.warning("requests of processes that died are now interrupted", extra={"rows": number})
        return number

    def _living(self) -> set[str]:
        """Names of the serving processes; removes the records of others."""
        living: set[str] = set()
        fresh = set(
            ServingProcess.objects.filter(seen_at__gte=Now() - timedelta(seconds=STALE)).values_list(
                "name", flat=True
            )
        )
        for record in ServingProcess.objects.all():
            if record.machine == self.machine:
                locked = True if record.name == self.name else is_locked(self._folder, record.name)
                alive = record.name in fresh if locked is None else locked
            else:
                alive = record.name in fresh
            if alive:
                living.add(record.name)
            else:
                record.delete()
        return living

    def _beat(self) -> None:
        if not ServingProcess.objects.filter(name=self.name).update(seen_at=Now()):
            ServingProcess.objects.create(name=self.name, machine=self.machine, seen_at=Now())

    def _run(self) -> None:
        failing = False
        while not self._ending.wait(BEAT):
            try:
                self._beat()
                self.settle_the_dead()
                failing = False
            except Exception:
                # logged once for each outage
                if not failing:
                    logger.exception("cannot look after the rows of processes that died; trying again")
                failing = True
                _close_connection()
        _close_connection()


def interrupt(request_ids: list[str]) -> int:
    """Mark rows that are still open as interrupted, and count them in the totals; returns how many."""
    number = 0
    for start in range(0, len(request_ids), _AT_ONCE):
        some = sorted(request_ids[start : start + _AT_ONCE])
        with hourly.following(some):
            rows = RequestLog.objects.filter(request_id__in=some, state=OPEN)
            said = list(rows.exclude(session_id="", provider="").values_list("request_id", flat=True))
            number += rows.update(state=INTERRUPTED, error_message=REASON)
            queue_follow_up(said)
    return number


def _close_connection() -> None:
    try:
        connection.close()
    except Exception:
        logger.exception("a connection to the database could not be closed")


def is_locked(folder: Path, name: str) -> bool | None:
    """Whether the process of this name lives; None when it has no lock in this folder.

    Removes the lock file of a dead one.
    """
    path = _lock_path(folder, name)
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return None
    return False


def _lock_path(folder: Path, name: str) -> Path:
    return folder / f"{name.replace('/', '_')}{SUFFIX}"
