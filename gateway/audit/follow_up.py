"""What is done with an exchange after its row is durable: search index and totals of its session.

The recorder queues ended exchanges (FollowUp) in the transaction of their rows;
this thread works the queue off a second later, in short transactions of some
exchanges each, so neither a request nor the group commit waits for long. What can
be read and reckoned before a transaction is. Doing one twice changes nothing, and
what a dead process left is done by the next.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from django.db import connections, transaction

from gateway.audit import content, search, session_totals
from gateway.audit.rows import NOT_ANSWERING
from gateway.audit.words import indexed, message_texts
from gateway.audit.zstd import Damaged, decompressed
from gateway.models import FollowUp, RequestLog
from gateway.wire import jsontext
from gateway.wire.message_reader import read_answer

logger = logging.getLogger("gateway.audit")

AT_ONCE: Final = 50
# bytes of requests and answers in one transaction
PORTION: Final = 1_000_000
LOOK_EVERY: Final = 1.0
RETRY_SECONDS: Final = 10.0
# between two transactions the writer of the history has its turn
BREATH: Final = 0.002


class FollowUpWorker:
    """The thread. `start` and `stop` once each."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work_on, name="follow-up", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End after the portion that is being looked at; the queue is kept for the next start."""
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


@dataclass(frozen=True, slots=True)
class _Ended:
    """One exchange of the queue. `head`: the end of its chain; `returned`: its answer, compressed."""

    request_id: str
    session_id: str
    endpoint: str
    head: bytes | None
    returned: bytes | None
    size: int


def follow_up(stopping: threading.Event | None = None) -> int:
    """Work off one batch of the queue; how many exchanges. Raises what the database raises."""
    waiting = list(FollowUp.objects.order_by("request_id").values_list("request_id", flat=True)[:AT_ONCE])
    if not waiting:
        return 0
    rows = _ended(waiting)
    _forget(set(waiting) - {row.request_id for row in rows})
    for portion in _portions(rows):
        if stopping is not None and stopping.is_set():
            return 0
        _index(portion)
        if stopping is not None:
            stopping.wait(BREATH)
    for session_id in dict.fromkeys(row.session_id for row in rows if row.session_id):
        _count(session_id, [row.request_id for row in rows if row.session_id == session_id])
    return len(waiting)


def _index(portion: Sequence[_Ended]) -> None:
    """Put the words of a portion into the index. One exchange that fails is left out, not those beside it."""
    try:
        texts = list(_texts(portion))
        with transaction.atomic():
            search.put(texts)
            _forget(row.request_id for row in portion if not row.session_id)
    except NOT_ANSWERING:
        raise
    except Exception:
        if len(portion) > 1:
            for row in portion:
                _index([row])
            return
        (row,) = portion
        logger.exception("an exchange cannot be indexed", extra={"request_id": row.request_id})
        if not row.session_id:
            _forget([row.request_id])


def _count(session_id: str, request_ids: Sequence[str]) -> None:
    """Work out the totals of a session; one whose totals fail keeps its old ones."""
    try:
        with transaction.atomic():
            session_totals.work_out(session_id)
            _forget(request_ids)
    except NOT_ANSWERING:
        raise
    except Exception:
        logger.exception("a session cannot be counted", extra={"session_id": session_id})
        _forget(request_ids)


def _ended(waiting: Sequence[str]) -> list[_Ended]:
    """The rows of what waits, in the order of time."""
    rows = RequestLog.objects.filter(request_id__in=waiting).order_by("started_at", "pk")
    columns = ("request_id", "session_id", "endpoint", "body__received_head", "body__returned")
    sizes = ("body__received_size", "body__returned_size")
    return [
        _Ended(
            request_id,
            session_id,
            endpoint,
            None if head is None else bytes(head),
            returned,
            (received_size or 0) + (returned_size or 0),
        )
        for request_id, session_id, endpoint, head, returned, received_size, returned_size in (
            rows.values_list(*columns, *sizes)
        )
    ]


def _portions(rows: Iterable[_Ended]) -> Iterator[list[_Ended]]:
    portion: list[_Ended] = []
    size = 0
    for row in rows:
        portion.append(row)
        size += row.size
        if size >= PORTION:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _forget(request_ids: Iterable[str]) -> None:
    gone = sorted(request_ids)
    if gone:
        FollowUp.objects.filter(pk__in=gone).delete()


def _texts(portion: Sequence[_Ended]) -> Iterator[search.NewText]:
    """What these exchanges brought that is not in the index yet; nothing of bodies that cannot be read."""
    asking = [row for row in portion if row.endpoint != "count_tokens"]
    nodes = search.new_nodes(list({row.head for row in asking if row.head is not None}))
    plain = content.plain_blobs({blob for found in nodes.values() for _, _, blob in found})
    seen: set[bytes] = set()
    for row in asking:
        new = [node for node in nodes.get(row.head or b"", ()) if node[0] not in seen]
        for place, (digest, parent, blob) in enumerate(new):
            seen.add(digest)
            value = _value(plain.get(blob, b""))
            # an assistant's message behind what is known is the answer that was indexed with its own request
            answered = place == 0 and parent is not None and _role(value) == "assistant"
            yield search.NewText(row.request_id, digest, "" if answered else indexed(message_texts(value)))
        yield from _answer(row)


def _answer(row: _Ended) -> Iterator[search.NewText]:
    try:
        returned = decompressed(row.returned) if row.returned is not None else b""
    except Damaged:
        return
    message = read_answer(returned).message
    if message is not None:
        words = indexed(message_texts(message))
        if words:
            digest = sha256(b"answer " + row.request_id.encode()).digest()
            yield search.NewText(row.request_id, digest, words)


def _value(text: bytes) -> Any:
    """A piece as the message it is; a whole body that was no Messages request as a text."""
    try:
        value = jsontext.loads(text)
        return value if isinstance(value, dict) and "content" in value else {"content": str(value)}
    except (jsontext.InvalidJSON, RecursionError):
        return {"content": text.decode("utf-8", "replace")}


def _role(message: Any) -> Any:
    return message.get("role")
