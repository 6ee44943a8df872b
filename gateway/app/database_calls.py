"""Database calls of async code: a few threads of their own, and an end to waiting for them.

asyncio's default threads convert large requests and decode compressed ones. A database that hangs keeps a
thread for as long as it hangs, so it must not have one of those.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from django.db import Error, close_old_connections

from gateway.errors import DatabaseAway
from gateway.models.database_errors import concerns_server

logger = logging.getLogger("gateway.app")

T = TypeVar("T")

AT_ONCE: Final = 4
# more calls than this do not wait: anybody may ask to sign in
MOST_WAITING: Final = 200
# seconds that a caller waits, in the queue and for the answer
PATIENCE: Final = 5.0


class DatabaseCalls:
    """`await calls(work)` runs `work` in a thread and returns its result. It starts threads when needed."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._waiting: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._away = False

    async def __call__(self, work: Callable[[], T], patience: float = PATIENCE) -> T:
        """Raises DatabaseAway when the database is away or silent for `patience` seconds, and when
        MOST_WAITING calls wait already.

        Work that has begun goes on even then. Whatever else it raises is raised here.
        """
        if self._waiting.qsize() >= MOST_WAITING:
            raise self._missed(f"{MOST_WAITING} calls wait")
        future: Future[T] = Future()
        self._waiting.put((work, future))
        if len(self._threads) < self._at_once:
            # a daemon: a database that hangs must not delay the end of the process
            thread = threading.Thread(target=self._run, name="database-calls", daemon=True)
            self._threads.append(thread)
            thread.start()
        try:
            result = await asyncio.wait_for(asyncio.wrap_future(future), patience)
        except TimeoutError:
            raise self._missed(f"no answer within {patience:g} seconds") from None
        except Error as problem:
            if not concerns_server(problem):
                raise
            raise self._missed(str(problem)) from None
        self._away = False
        return result

    def _missed(self, problem: str) -> DatabaseAway:
        """One line for an outage, however many calls come meanwhile."""
        if not self._away:
            self._away = True
            logger.warning("the database does not answer clients", extra={"problem": problem})
        return DatabaseAway()

    def _run(self) -> None:
        while True:
            work, future = self._waiting.get()
            # nobody waits any more for what was cancelled
            if future.set_running_or_notify_cancel():
                _do(work, future)
            del work, future


def _do(work: Callable[[], Any], future: Future[Any]) -> None:
    try:
        result = _closing(work)
    except BaseException as problem:
        future.set_exception(problem)
    else:
        future.set_result(result)


def _closing(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        with contextlib.suppress(Error):
            close_old_connections()


database_calls: Final = DatabaseCalls()
