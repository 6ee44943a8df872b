"""Misses of the prompt cache in the stored history. Read when somebody asks, never beside a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db import connection
from django.db.models import QuerySet

from gateway.history.caching.diagnosis import ComparedRequest, Miss, diagnosed, is_miss, money_lost
from gateway.history.caching.differences import PromptShape, shape
from gateway.history.content.codec import Damaged, decompressed
from gateway.models import Attempt, RequestBody, RequestLog
from gateway.pricing.book import PriceBook
from gateway.pricing.price import Rates
from gateway.wire import jsontext

# how long before a request the one before it may have begun
LONGEST_GAP: Final = timedelta(days=2)
# requests of agents; the rest are apart from any conversation
_CONVERSING: Final = ("main", "subagent", "unknown")
_NAMES: Final = """
WITH RECURSIVE chain (parent, blob, depth) AS (
    SELECT parent, blob, 0 FROM gateway_contentnode WHERE digest = %s
    UNION ALL
    SELECT node.parent, node.blob, chain.depth + 1
    FROM chain JOIN gateway_contentnode node ON node.digest = chain.parent
)
SELECT blob FROM chain ORDER BY depth DESC
"""


class MissedRequest(NamedTuple):
    """A row that missed the cache, the row before it, and why. `money`: US dollars lost; None: unpriced."""

    row: RequestLog
    before: RequestLog
    miss: Miss
    money: Decimal | None


def misses(start: datetime, end: datetime, prices: Callable[[], PriceBook]) -> Iterator[MissedRequest]:
    """All misses of requests that began in a range, oldest first.

    Where the contents of requests are not kept, nothing can be said of them. `prices` are asked for
    when there is a miss.
    """
    before: dict[tuple[str, int | None, str, str], RequestLog] = {}
    rows = _conversing(RequestLog.objects.filter(started_at__gte=start - LONGEST_GAP, started_at__lt=end))
    for row in rows.order_by("started_at", "pk").iterator(chunk_size=500):
        agent = (row.session_id, row.client_key_id, row.agent_id, row.request_class)
        last, before[agent] = before.get(agent), row
        if last is not None and row.started_at >= start:
            found = _missed(last, row, prices)
            if found is not None:
                yield found


def miss_of(row: RequestLog, prices: Callable[[], PriceBook]) -> MissedRequest | None:
    """Why one request missed; None when it did not, or nothing can be said."""
    if not row.session_id or row.cache_read_tokens is None or row.request_class not in _CONVERSING:
        return None
    earlier = _conversing(
        RequestLog.objects.filter(
            session_id=row.session_id,
            client_key_id=row.client_key_id,
            agent_id=row.agent_id,
            request_class=row.request_class,
            started_at__lt=row.started_at,
            started_at__gte=row.started_at - LONGEST_GAP,
        )
    )
    last = earlier.order_by("-started_at", "-pk").first()
    return None if last is None else _missed(last, row, prices)


def _conversing(rows: QuerySet[RequestLog]) -> QuerySet[RequestLog]:
    return rows.filter(
        endpoint="messages",
        state="ok",
        cache_read_tokens__isnull=False,
        task="",
        request_class__in=_CONVERSING,
    ).exclude(session_id="")


def _missed(last: RequestLog, row: RequestLog, prices: Callable[[], PriceBook]) -> MissedRequest | None:
    # most requests end here, with nothing read from the database
    if not is_miss(_prompt(last), _prompt(row), row.cache_read_tokens or 0):
        return None
    shapes = _shapes((last.request_id, row.request_id))
    if len(shapes) < 2:
        return None
    credentials = _credentials((last.request_id, row.request_id))
    before, after = (
        _asked(one, shapes[one.request_id], credentials.get(one.request_id, "")) for one in (last, row)
    )
    miss = diagnosed(before, after)
    if miss is None:
        return None
    price = prices().price(row.provider, row.upstream_model, row.started_at)
    return MissedRequest(row, last, miss, None if price is None else _money(miss.tokens, row, price.rates))


def _money(tokens: int, row: RequestLog, rates: Rates) -> Decimal:
    written = rates.cache_write if row.cache_write_tokens else None
    return money_lost(tokens, rates.input if written is None else written, rates.cache_read)


def _prompt(row: RequestLog) -> int:
    return (row.input_tokens or 0) + (row.cache_read_tokens or 0) + (row.cache_write_tokens or 0)


def _asked(row: RequestLog, shapes: tuple[PromptShape, PromptShape], credential: str) -> ComparedRequest:
    ended = row.started_at + timedelta(milliseconds=row.duration_ms or 0)
    entries = [entry for entry in row.ledger if isinstance(entry, Mapping)]
    return ComparedRequest(
        row.started_at,
        ended,
        row.provider,
        row.upstream_model,
        credential,
        _prompt(row),
        row.cache_read_tokens or 0,
        *shapes,
        [(str(entry.get("path")), str(entry.get("note"))) for entry in entries],
    )


def _shapes(request_ids: Iterable[str]) -> dict[str, tuple[PromptShape, PromptShape]]:
    """(received, sent) of the requests whose contents are kept."""
    found = {}
    for body in RequestBody.objects.filter(log_id__in=list(request_ids), sent_size__gt=0):
        try:
            recipe: dict[str, Any] = jsontext.loads(decompressed(body.recipe))
        except (Damaged, jsontext.InvalidJSON):
            continue
        found[body.log_id] = (
            shape(recipe["received"], _names(body.received_base), _names(body.received_head)),
            shape(recipe["sent"], _names(body.sent_base), _names(body.sent_head)),
        )
    return found


def _names(end: bytes | memoryview | None) -> list[bytes]:
    """The names of the pieces of a chain, in order."""
    if end is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_NAMES, [bytes(end)])
        return [bytes(blob) for (blob,) in cursor.fetchall()]


def _credentials(request_ids: Iterable[str]) -> dict[str, str]:
    tries = Attempt.objects.filter(log_id__in=list(request_ids)).order_by("number")
    return {one.log_id: one.credential for one in tries}
