"""WatchWorker: a thread that counts failures, decides about ramps, and tells what needs attention."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Final

from django.db import connections
from django.utils import timezone
from django.utils.translation import override

from gateway.models import Lease
from gateway.models.database_errors import concerns_server
from gateway.watch import attention, delivery, notices, problems, ramps

logger = logging.getLogger("gateway.watch")

# seconds between two looks
EVERY: Final = 10.0
TASK: Final = "watch"
# longer than a look and one call to a webhook take; after it another process looks
LEASE: Final = timedelta(seconds=60)
# batches of failures counted in one look; a history from before is worked off over some looks
MOST_BATCHES: Final = 20


class WatchWorker:
    """`start` and `stop` once each. `process` names this one; `language`: that of notices."""

    def __init__(self, process: str, language: str) -> None:
        self._process, self._language = process[:80], language
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work_on, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the look under way."""
        self._stopping.set()

    def _work_on(self) -> None:
        while not self._stopping.wait(EVERY):
            try:
                with override(self._language):
                    look(self._process, self._stopping)
            except Exception as problem:
                if concerns_server(problem):
                    logger.warning("the watch waits for the database", extra={"problem": str(problem)[:500]})
                else:
                    logger.exception("unexpected error in the watch")
            connections.close_all()


def look(process: str, stopping: threading.Event | None = None) -> bool:
    """One look, if no other process holds the task; whether there was one. Raises what the database does."""
    if not Lease.take(TASK, process, timezone.now(), LEASE):
        return False
    for _batch in range(MOST_BATCHES):
        if (stopping and stopping.is_set()) or problems.count_new() < problems.BATCH:
            break
    now = timezone.now()
    ramps.look(now)
    try:
        notices.update(attention.items(now), now)
    finally:
        # what waits is sent even if a source of new notices is broken
        delivery.send_waiting(now)
    return True
