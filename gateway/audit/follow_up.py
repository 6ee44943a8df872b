"""What is done with an exchange after its row is durable: search index and totals of its session.

The recorder queues ended exchanges (FollowUp) in the transaction of their rows;
this thread works the queue off a second later, one exchange in one short
transaction, so neither a request nor the group commit waits for it. Doing one
twice changes nothing, and what a dead process left is done by the next.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from django.db import connections, transaction

from gateway.audit import content, search, session_totals
from gateway.audit.bodies import StoredBodies, Unreadable, stored
from gateway.audit.rows import NOT_ANSWERING
from gateway.audit.words import indexed, message_texts
from gateway.models import FollowUp, RequestLog
from gateway.wire import jsontext
from gateway.wire.message_reader import read_answer

logger = logging.getLogger("gateway.audit")

AT_ONCE: Final = 50
LOOK_EVERY: Final = 1.0
RETRY_SECONDS: Final = 10.0
# between two exchanges the writer of the history has its turn
BREATH: Final = 0.002


class FollowUpWorker:
    """The thread. `start` and `stop` once each."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work_on, name="follow-up", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End after the exchange that is being looked at; the queue is kept for the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _work_on(self) -> None:
        wait = LOOK_EVERY
        while not self._stopping.wait(wait):
            try:
                wait = BREATH if follow_up(self._stopping) else LOOK_EVERY
            except NOT_ANSWERING as problem:
                logger.warning("follow-up waits for the database", extra={"problem": str(problem)})
                connections.close_all()
                wait = RETRY_SECONDS
            except Exception:
                logger.exception("unexpected error in the follow-up")
                wait = RETRY_SECONDS
        connections.close_all()


def follow_up(stopping: threading.Event | None = None) -> int:
    """Work off one batch of the queue; how many exchanges. Raises what the database raises."""
    waiting = list(FollowUp.objects.order_by("request_id").values_list("request_id", flat=True)[:AT_ONCE])
    rows = {
        row["request_id"]: row
        for row in RequestLog.objects.filter(request_id__in=waiting).values(
            "request_id", "session_id", "endpoint"
        )
    }
    sessions = dict.fromkeys(row["session_id"] for row in rows.values() if row["session_id"])
    for request_id in waiting:
        if stopping is not None and stopping.is_set():
            return 0
        row = rows.get(request_id)
        texts = _texts(request_id) if row is not None and row["endpoint"] != "count_tokens" else []
        with transaction.atomic():
            search.put(request_id, texts)
            if row is None or not row["session_id"]:
                FollowUp.objects.filter(pk=request_id).delete()
        if stopping is not None:
            stopping.wait(BREATH)
    for session_id in sessions:
        of_session = [name for name, row in rows.items() if row["session_id"] == session_id]
        with transaction.atomic():
            session_totals.work_out(session_id)
            FollowUp.objects.filter(pk__in=of_session).delete()
    return len(waiting)


def _texts(request_id: str) -> list[search.NewText]:
    """What the exchange brought that is not in the index yet; nothing when its bodies cannot be read."""
    try:
        bodies = stored(request_id)
        return [] if bodies is None else [*_asked(bodies), *_answer(request_id, bodies)]
    except Unreadable:
        return []


def _asked(bodies: StoredBodies) -> Iterator[search.NewText]:
    end = bodies.row.received_head
    new = search.new_nodes(bytes(end)) if end is not None else []
    plain = content.plain_blobs(blob for _, _, blob in new)
    for place, (digest, parent, blob) in enumerate(new):
        value = _value(plain.get(blob, b""))
        # an assistant's message behind what is known is the answer that was indexed with its own request
        answered = place == 0 and parent is not None and _role(value) == "assistant"
        yield search.NewText(digest, "" if answered else indexed(message_texts(value)))


def _answer(request_id: str, bodies: StoredBodies) -> Iterator[search.NewText]:
    returned = bodies.text("returned")
    message = read_answer(returned).message if returned else None
    if message is not None:
        words = indexed(message_texts(message))
        if words:
            yield search.NewText(sha256(b"answer " + request_id.encode()).digest(), words)


def _value(text: bytes) -> Any:
    """A piece as the message it is; a whole body that was no Messages request as a text."""
    try:
        value = jsontext.loads(text)
    except (jsontext.InvalidJSON, RecursionError):
        value = text.decode("utf-8", "replace")
    return value if isinstance(value, dict) and "content" in value else {"content": str(value)}


def _role(message: Any) -> Any:
    return message.get("role")
