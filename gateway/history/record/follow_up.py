"""What happens to an exchange after its row is durable: search index, totals of its session, outcomes.

The recorder queues ended exchanges (FollowUp) in the transaction of their rows, and hands them over in
memory (history/follow_up_queue.py). This thread processes them a second later, in short transactions of
a few exchanges each, so that neither a request nor the group commit waits for long. Whatever can be read
and computed before a transaction is. Doing one twice changes nothing, and what stays in the queue,
because its process died or had no room, is read from the database.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from django.db import connections, transaction

from gateway.history.caching.stored import Prices, count_misses
from gateway.history.content.codec import Damaged, decompressed
from gateway.history.follow_up_queue import EndedExchange, Handover
from gateway.history.outcomes.counting import count
from gateway.history.outcomes.stored_turns import facts_of
from gateway.history.search import index
from gateway.history.search.new_texts import new_texts
from gateway.history.statements import among
from gateway.history.totals import hourly
from gateway.history.totals import sessions as session_totals
from gateway.models import FollowUp, RequestLog
from gateway.models.database_errors import concerns_server
from gateway.pricing.book import PriceBook

logger = logging.getLogger("gateway.history")

# exchanges in one transaction, which costs as much as ten of them
AT_ONCE: Final = 200
# the same for entries from the database, whose texts have to be read
READ_AT_ONCE: Final = 50
# bytes of requests and answers in one transaction: about 3 ms, when answers are in few events
PORTION: Final = 250_000
LOOK_EVERY: Final = 1.0
# An entry still queued at two consecutive polls belongs to no live process.
QUEUE_EVERY: Final = 2.5
MOST_LEFT: Final = 5_000
RETRY_SECONDS: Final = 10.0
# seconds between two transactions, for the writer of the history
BREATH: Final = 0.002

_QUEUED: Final = "SELECT request_id FROM gateway_followup WHERE request_id IN ({places})"
_FORGET: Final = "DELETE FROM gateway_followup WHERE request_id IN ({places})"


class FollowUpWorker:
    """The thread. `start` and `stop` once each. `handover`: what this process's recorder passes on; `prices`
    are what a missed cache is valued at.
    """

    def __init__(self, handover: Handover | None = None, prices: Prices = PriceBook) -> None:
        self._handover = handover or Handover()
        self._prices = prices
        self._pace = session_totals.SessionPace()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work_on, name="follow-up", daemon=True)
        # what was queued at the last poll; None before the first, when all of it was left by others
        self._seen: set[str] | None = None
        self._looked_at = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End after the current portion; the queue is kept for the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _work_on(self) -> None:
        wait = LOOK_EVERY
        while not self._stopping.wait(wait):
            try:
                wait = BREATH if self._work() else LOOK_EVERY
            except Exception as problem:
                if concerns_server(problem):
                    logger.warning("follow-up waits for the database", extra={"problem": str(problem)})
                else:
                    logger.exception("unexpected error in the follow-up")
                _close_connections()
                wait = RETRY_SECONDS
        try:
            for session_id in self._pace.rest():
                _count_session(session_id)
        except Exception as problem:
            logger.warning("sessions were not counted at the end", extra={"problem": str(problem)})
        _close_connections()

    def _work(self) -> bool:
        """Process what there is; returns whether more is waiting already."""
        if self._seen is None:
            self._look_at_queue()
        told = self._handover.take(AT_ONCE)
        work_off(told, self._stopping, self._prices, self._pace)
        if len(told) == AT_ONCE:
            return True
        if time.monotonic() - self._looked_at >= QUEUE_EVERY:
            self._look_at_queue()
        return False

    def _look_at_queue(self) -> None:
        """Process what nobody holds in memory: it was there at the last poll, and still is."""
        self._looked_at = time.monotonic()
        waiting = FollowUp.objects.order_by("request_id").values_list("request_id", flat=True)
        queued = set(waiting[:MOST_LEFT]) - self._handover.waiting()
        left = sorted(queued if self._seen is None else queued & self._seen)
        for start in range(0, len(left), READ_AT_ONCE):
            _work_off_queued(left[start : start + READ_AT_ONCE], self._stopping, self._prices, self._pace)
        self._seen = queued.difference(left)


def follow_up(stopping: threading.Event | None = None, prices: Prices = PriceBook) -> int:
    """Process one batch of the queue; returns how many exchanges. Raises what the database raises."""
    waiting = list(
        FollowUp.objects.order_by("request_id").values_list("request_id", flat=True)[:READ_AT_ONCE]
    )
    _work_off_queued(waiting, stopping, prices)
    return len(waiting)


def index_again(request_ids: Sequence[str]) -> int:
    """Index exchanges whose index is gone, and nothing else of them; returns how many there are."""
    rows = ended_exchanges(request_ids)
    told = [row.request_id for row in rows]
    # queued exchanges need more than the index, and a serving process does the rest
    waiting = set(FollowUp.objects.filter(request_id__in=told).values_list("request_id", flat=True))
    FollowUp.objects.bulk_create([FollowUp(request_id=one) for one in told], ignore_conflicts=True)
    for portion in _portions(rows):
        _index(portion)
        _forget({row.request_id for row in portion} - waiting)
    return len(rows)


def _work_off_queued(
    request_ids: Sequence[str],
    stopping: threading.Event | None,
    prices: Prices,
    pace: session_totals.SessionPace | None = None,
) -> None:
    if request_ids:
        rows = ended_exchanges(request_ids)
        _forget(set(request_ids) - {row.request_id for row in rows})
        work_off(rows, stopping, prices, pace)


def work_off(
    ended: Iterable[EndedExchange],
    stopping: threading.Event | None = None,
    prices: Prices = PriceBook,
    pace: session_totals.SessionPace | None = None,
) -> None:
    """Do what these exchanges need, and take them out of the queue.

    The last step takes them out, so whatever was not done before is done again; only the totals of a large
    session may wait for `pace`, and after a crash for its next request. Raises what the database raises. When
    told to stop before or meanwhile, some stay in the queue.
    """
    pace = pace or session_totals.SessionPace()
    rows = sorted(ended, key=lambda one: one.started_at)
    portions = list(_portions(rows))
    for portion in portions:
        if stopping is not None and stopping.is_set():
            return
        _index(portion)
        if stopping is not None:
            stopping.wait(BREATH)
    for session_id in pace.due(row.session_id for row in rows if row.session_id):
        pace.counted(session_id, _count_session(session_id))
    for portion in portions:
        if stopping is not None and stopping.is_set():
            return
        count_cache_misses([row.request_id for row in portion], prices)
        count_outcomes(portion)


def _index(portion: Sequence[EndedExchange]) -> None:
    """Index the words of a portion. An exchange that fails is left out; those beside it are not."""
    try:
        texts = list(new_texts(portion))
        names = [row.request_id for row in portion]
        with transaction.atomic():
            # whoever removes one of them from the history waits until its words can be found there
            hourly.hold(names)
            # one that is gone from the queue was done by another process, or removed from the history
            queued = _queued(names)
            index.put([text for text in texts if text.request_id in queued])
    except Exception as problem:
        if concerns_server(problem):
            raise
        if len(portion) > 1:
            for row in portion:
                _index([row])
            return
        (row,) = portion
        logger.exception("an exchange cannot be indexed", extra={"request_id": row.request_id})


def _count_session(session_id: str) -> int:
    """Work out the totals of a session; when that fails, it keeps its old ones. Returns how many requests it
    has, as far as that is known.
    """
    try:
        with transaction.atomic():
            return session_totals.work_out(session_id)
    except Exception as problem:
        if concerns_server(problem):
            raise
        logger.exception("a session cannot be counted", extra={"session_id": session_id})
        return 0


def count_cache_misses(request_ids: Sequence[str], prices: Prices) -> int:
    """Keep which of these requests missed the prompt cache; returns how many. One that fails is left out;
    those beside it are not.
    """
    try:
        return count_misses(request_ids, prices)
    except Exception as problem:
        if concerns_server(problem):
            raise
        if len(request_ids) > 1:
            return sum(count_cache_misses([name], prices) for name in request_ids)
        logger.exception("the cache of a request cannot be judged", extra={"request_id": request_ids[0]})
        return 0


def count_outcomes(portion: Sequence[EndedExchange]) -> None:
    """Count what became of a portion, and take it out of the queue. One that fails counts for nothing; those
    beside it do.
    """
    names = [row.request_id for row in portion]
    try:
        facts = facts_of(portion)
        with transaction.atomic():
            # an end that arrives later queues the exchange again
            hourly.hold(names)
            count(names, facts)
            _forget(names)
    except Exception as problem:
        if concerns_server(problem):
            raise
        if len(portion) > 1:
            for row in portion:
                count_outcomes([row])
            return
        logger.exception("the outcome of a request cannot be counted", extra={"request_id": names[0]})
        _forget(names)


def _close_connections() -> None:
    try:
        connections.close_all()
    except Exception:
        logger.exception("a connection to the database could not be closed")


def ended_exchanges(request_ids: Sequence[str]) -> list[EndedExchange]:
    """The stored form of exchanges, those that began first in front; what is gone is left out."""
    rows = RequestLog.objects.filter(request_id__in=request_ids)
    columns = ("request_id", "session_id", "endpoint", "started_at", "body__received_head", "body__returned")
    sizes = ("body__received_size", "body__returned_size")
    return [
        EndedExchange(
            request_id,
            session_id,
            endpoint,
            started_at,
            None if head is None else bytes(head),
            _plain(returned),
            size=(received_size or 0) + (returned_size or 0),
        )
        for request_id, session_id, endpoint, started_at, head, returned, received_size, returned_size in (
            rows.order_by("started_at", "pk").values_list(*columns, *sizes)
        )
    ]


def _plain(returned: bytes | None) -> bytes:
    try:
        return b"" if returned is None else decompressed(returned)
    except Damaged:
        return b""


def _portions(rows: Iterable[EndedExchange]) -> Iterator[list[EndedExchange]]:
    portion: list[EndedExchange] = []
    size = 0
    for row in rows:
        portion.append(row)
        size += row.size
        if size >= PORTION:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _queued(request_ids: Sequence[str]) -> set[str]:
    return {request_id for (request_id,) in among(_QUEUED, len(request_ids)).rows(request_ids)}


def _forget(request_ids: Iterable[str]) -> None:
    gone = sorted(request_ids)
    if gone:
        among(_FORGET, len(gone)).many([gone])
