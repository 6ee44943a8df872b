"""Removes pieces of bodies that no row needs any more, in bounded batches.

There are no reference counts. Each node and blob carries the hour when it was last used, and three
rules make it safe to remove what has long been unused:

1. Storing a row stamps all its pieces with the present hour, in the same transaction; it skips only
   those that this process stamped in this hour or the last (`content_store.Known`). So every piece of
   a row that was stored in hour H says H - 1 or later, and stamps never go back.
2. The sweep takes what was last used more than a day (MARGIN) before `before`, and `before` is never
   within the last day (GRACE). A row that arrived after `before` has younger pieces, and no process
   considers known what may be removed.
3. Rows that arrived earlier and are still there (on hold, or because rows go later than others) are
   marked first: their pieces get the present hour. A chain is always walked to its beginning, because
   a young node may have old ones before it.

A row written between the marking and the sweep is covered by rule 1, however old its exchange: the
stamp is the hour of storing. After the database was replaced by an older copy, processes must be
restarted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Q

from gateway.history.content.content_store import HOUR, digests
from gateway.models import RequestBody

MARGIN: Final = timedelta(days=1)
GRACE: Final = timedelta(days=1)
BATCH: Final = 500
# rows whose chains are walked in one transaction; each names at most four ends
ROWS: Final = 100
_REACHED: Final = """
WITH RECURSIVE reached (digest, parent, blob, used) AS (
    SELECT digest, parent, blob, used FROM gateway_contentnode WHERE digest IN ([ends])
    UNION
    SELECT node.digest, node.parent, node.blob, node.used
    FROM reached JOIN gateway_contentnode node ON node.digest = reached.parent
)
"""
_REACHED_NODES: Final = "SELECT digest FROM reached WHERE used < %s"
_REACHED_BLOBS: Final = """
SELECT DISTINCT piece.digest, piece.texts
FROM reached JOIN gateway_contentblob piece ON piece.digest = reached.blob
"""
_ENDS: Final = ("received_base", "received_head", "sent_base", "sent_head")


@dataclass(frozen=True, slots=True)
class Swept:
    """How many were removed."""

    nodes: int = 0
    blobs: int = 0


@dataclass(frozen=True, slots=True)
class _Table:
    """The statements for one table. `remove` checks the stamp again: it may be newer than when it
    was read.
    """

    stamp: str
    stale: str
    remove: str


_NODES: Final = _Table(
    "UPDATE gateway_contentnode SET used = %s WHERE digest = %s AND used < %s",
    "SELECT digest FROM gateway_contentnode WHERE used < %s ORDER BY used LIMIT %s",
    "DELETE FROM gateway_contentnode WHERE digest = %s AND used < %s",
)
_BLOBS: Final = _Table(
    "UPDATE gateway_contentblob SET used = %s WHERE digest = %s AND used < %s",
    "SELECT digest FROM gateway_contentblob WHERE used < %s ORDER BY used LIMIT %s",
    "DELETE FROM gateway_contentblob WHERE digest = %s AND used < %s",
)


def sweep(before: datetime, now: datetime, batch: int = BATCH) -> Swept:
    """Remove the pieces that no row needs and that were last used well before `before`.

    Rows from before `before` that still exist keep theirs. Each batch is a transaction of its own; if the
    sweep ends between two of them, calling it again completes it.
    """
    before = min(before, now - GRACE)
    limit = _hour(before - MARGIN)
    for ends in _ends_of_rows(before):
        _mark(ends, limit, _hour(now))
    return Swept(_remove(_NODES, limit, batch), _remove(_BLOBS, limit, batch))


def _hour(moment: datetime) -> int:
    return int(moment.timestamp()) // HOUR


def _ends_of_rows(before: datetime) -> Iterator[list[bytes]]:
    """The ends of the chains of all rows from before `before`, hundreds of rows at a time."""
    rows = RequestBody.objects.filter(log__started_at__lt=before).order_by("log__started_at", "pk")
    rows_after = rows
    while True:
        page = list(rows_after.values_list("log__started_at", "pk", *_ENDS)[:ROWS])
        if not page:
            return
        yield sorted({bytes(end) for end in chain.from_iterable(row[2:] for row in page) if end is not None})
        at, pk = page[-1][:2]
        rows_after = rows.filter(Q(log__started_at__gt=at) | Q(log__started_at=at, pk__gt=pk))


def _mark(ends: Sequence[bytes], limit: int, hour: int) -> None:
    """Stamp what is reachable from `ends` and would otherwise be swept."""
    if not ends:
        return
    reached = _REACHED.replace("[ends]", ", ".join(["%s"] * len(ends)))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(reached + _REACHED_NODES, [*ends, limit])
        nodes = _sorted(cursor.fetchall())
        cursor.execute(reached + _REACHED_BLOBS, [*ends])
        pieces = cursor.fetchall()
        blobs = {bytes(digest) for digest, _ in pieces}
        blobs.update(digest for _, named in pieces if named for digest in digests(named))
        for table, reachable in ((_NODES, nodes), (_BLOBS, sorted(blobs))):
            if reachable:
                cursor.executemany(table.stamp, [(hour, digest, limit) for digest in reachable])


def _remove(table: _Table, limit: int, batch: int) -> int:
    """Remove what was last used before the hour `limit`; returns how many."""
    removed = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(table.stale, [limit, batch])
            stale = _sorted(cursor.fetchall())
            if not stale:
                return removed
            cursor.executemany(table.remove, [(digest, limit) for digest in stale])
            removed += len(stale)


def _sorted(rows: Iterable[tuple[Any, ...]]) -> list[bytes]:
    """The digests in the order in which history/content/content_store.py writes them, which avoids
    deadlocks.
    """
    return sorted(bytes(row[0]) for row in rows)
