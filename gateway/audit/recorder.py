"""Recorder: one writer thread puts the rows of many exchanges into the database in one transaction.

The request path only appends to a queue. The thread takes all that is waiting,
keeps the last outcome of each exchange, and writes rows and compressed bodies in
one transaction (group commit). An exchange that opened and closed between two
batches costs one insert. When the database does not answer, the batch stays and
is tried again; nothing is dropped.
"""

from __future__ import annotations

import atexit
import dataclasses
import logging
import threading
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    close_old_connections,
    connections,
    transaction,
)

from gateway.audit.outcome import CapturedBodies, ExchangeOutcome
from gateway.models import ClientKey, RequestBody, RequestLog
from gateway.wire import jsontext

logger = logging.getLogger("gateway.audit")

# Rows that gather while one batch is written make the next batch; this pause lets the first ones gather.
GATHER_SECONDS: Final = 0.02
RETRY_SECONDS: Final = 1.0
LARGEST_BATCH: Final = 200
FLUSH_TIMEOUT: Final = 20.0


class Recorder:
    """`opened` and `closed` never wait. `stop` writes what is left; called at the process's exit."""

    def __init__(self) -> None:
        self._queue: deque[ExchangeOutcome] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def opened(self, outcome: ExchangeOutcome) -> None:
        """An exchange has arrived."""
        self._put(outcome)

    def closed(self, outcome: ExchangeOutcome) -> None:
        """An exchange has ended; `outcome` replaces the row it opened with."""
        self._put(outcome)

    def stop(self, timeout: float = FLUSH_TIMEOUT) -> None:
        """Write what is waiting, then end the thread. Waits `timeout` seconds at most."""
        self._stopping.set()
        self._wake.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(timeout)
        if self._queue:
            logger.error("history rows not written", extra={"rows": len(self._queue)})

    def _put(self, outcome: ExchangeOutcome) -> None:
        self._queue.append(outcome)
        if self._thread is None:
            self._start()
        self._wake.set()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                # a daemon, because atexit runs after non-daemon threads were joined
                self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
                self._thread.start()
                atexit.register(self.stop)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if not self._stopping.is_set():
                self._stopping.wait(GATHER_SECONDS)
            self._write_all()
            if self._stopping.is_set() and not self._queue:
                connections.close_all()
                return

    def _write_all(self) -> None:
        while self._queue:
            batch = list(_up_to(LARGEST_BATCH, self._queue))
            close_old_connections()
            try:
                write(batch)
            except (DataError, IntegrityError):
                write_singly(batch)
            except (DatabaseError, InterfaceError) as problem:
                logger.error(
                    "history not written, trying again", extra={"rows": len(batch), "problem": str(problem)}
                )
                connections.close_all()
                if self._stopping.wait(RETRY_SECONDS) and not self._try_once_more(batch):
                    return
                continue
            for _ in batch:
                self._queue.popleft()

    def _try_once_more(self, batch: list[ExchangeOutcome]) -> bool:
        """While stopping: one more try, then give up loudly (stop() logs what is left)."""
        try:
            write(batch)
        except (DatabaseError, InterfaceError):
            return False
        for _ in batch:
            self._queue.popleft()
        return True


def _up_to(limit: int, queue: deque[ExchangeOutcome]) -> Iterable[ExchangeOutcome]:
    for _, outcome in zip(range(limit), tuple(queue), strict=False):
        yield outcome


def write(batch: Iterable[ExchangeOutcome]) -> None:
    """Write the last outcome of each exchange in one transaction; writing one twice changes nothing.

    Raises what the database raises; then nothing of the batch was written.
    """
    last = {outcome.request_id: outcome for outcome in batch}
    bodies = [_body(outcome.request_id, outcome.bodies) for outcome in last.values() if outcome.bodies]
    with transaction.atomic():
        RequestLog.objects.bulk_create(
            [_row(outcome) for outcome in last.values()],
            update_conflicts=True,
            unique_fields=["request_id"],
            update_fields=ROW_FIELDS,
        )
        if bodies:
            RequestBody.objects.bulk_create(
                bodies, update_conflicts=True, unique_fields=["log"], update_fields=BODY_FIELDS
            )
        for key_id, used in _last_used(last.values()).items():
            ClientKey.objects.filter(pk=key_id).update(last_used=used)


def write_singly(batch: Iterable[ExchangeOutcome]) -> None:
    """Write each outcome by itself, after the database refused one of the batch.

    A row that is refused even so is logged whole, the only place left for it.
    """
    for outcome in batch:
        try:
            write([outcome])
        except (DataError, IntegrityError) as problem:
            facts = {name: str(getattr(outcome, name)) for name in SHARED_FIELDS}
            logger.error("history row refused by the database", extra={"problem": str(problem), **facts})


def _row(outcome: ExchangeOutcome) -> RequestLog:
    values = {name: _storable(getattr(outcome, name), LONGEST.get(name)) for name in SHARED_FIELDS}
    return RequestLog(**values, ledger_count=len(outcome.ledger))


def _storable(value: Any, longest: int | None) -> Any:
    """What every database takes: no NUL characters (PostgreSQL refuses them), no over-long text."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")[:longest]
    if isinstance(value, list) and value and "\\u0000" in jsontext.dumps_text(value):
        return jsontext.loads(jsontext.dumps(value).replace(b"\\u0000", b"\\ufffd"))
    return value


def _body(request_id: str, bodies: CapturedBodies) -> RequestBody:
    texts = {part: getattr(bodies, part) or None for part in RequestBody.PARTS}
    return RequestBody.of(request_id, {"request": dict(bodies.headers)}, **texts)


def _last_used(outcomes: Iterable[ExchangeOutcome]) -> dict[int, datetime]:
    used: dict[int, datetime] = {}
    for outcome in outcomes:
        key_id = outcome.client_key_id
        if key_id is not None:
            used[key_id] = max(outcome.started_at, used.get(key_id, outcome.started_at))
    return used


SHARED_FIELDS: Final = tuple(
    field.name for field in dataclasses.fields(ExchangeOutcome) if field.name != "bodies"
)
ROW_FIELDS: Final = [*(name for name in SHARED_FIELDS if name != "request_id"), "ledger_count"]
BODY_FIELDS: Final = [*RequestBody.PARTS, *(f"{part}_size" for part in RequestBody.PARTS), "headers"]
LONGEST: Final = {
    field.name: field.max_length
    for field in RequestLog._meta.fields
    if getattr(field, "max_length", None) is not None
}
