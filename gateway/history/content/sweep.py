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
   protected first: the sweep notes the present hour in `marked` of their pieces, and removes nothing
   that was marked within the last day (REMARK). A chain is always walked to its beginning, because a
   young node may have old ones before it.

Marking leaves `used` as it is. Otherwise each sweep would make the pieces of all older rows young, and
they would outlive those rows by as long as contents are kept.

A row written between the marking and the removal is covered by rule 1, however old its exchange: the
stamp is the hour of storing. After the database was replaced by an older copy, processes must be
restarted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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
# hours that a mark protects; those who sweep each hour write it once a day
REMARK: Final = 24
BATCH: Final = 500
# rows whose chains are walked in one transaction; each names at most four ends
ROWS: Final = 100
_REACHED: Final = """
WITH RECURSIVE reached (digest, parent, blob, used, marked) AS (
    SELECT digest, parent, blob, used, marked FROM gateway_contentnode WHERE digest IN ([ends])
    UNION
    SELECT node.digest, node.parent, node.blob, node.used, node.marked
    FROM reached JOIN gateway_contentnode node ON node.digest = reached.parent
)
"""
_REACHED_NODES: Final = "SELECT digest FROM reached WHERE used < %s AND (marked IS NULL OR marked < %s)"
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
    """The statements for one table. Each checks again what was read before: somebody may have used or
    marked the piece since.
    """

    mark: str
    stale: str
    remove: str
    is_any_stale: str

    @classmethod
    def of(cls, table: str) -> _Table:
        """Of a table with `digest`, `used` and `marked`."""
        stale = "used < %s AND (marked IS NULL OR marked < %s)"
        return cls(
            f"UPDATE {table} SET marked = %s WHERE digest = %s AND {stale}",  # noqa: S608 (our tables)
            f"SELECT digest, used FROM {table} WHERE used >= %s AND {stale} "  # noqa: S608
            "ORDER BY used LIMIT %s",
            f"DELETE FROM {table} WHERE digest = %s AND {stale}",  # noqa: S608
            f"SELECT 1 FROM {table} WHERE {stale} LIMIT 1",  # noqa: S608
        )


_NODES: Final = _Table.of("gateway_contentnode")
_BLOBS: Final = _Table.of("gateway_contentblob")


@dataclass(frozen=True, slots=True)
class _Limits:
    """Pieces used before the hour `used` go, unless they were marked in the hour `marked` or later."""

    used: int
    marked: int


def sweep(
    before: datetime, now: datetime, batch: int = BATCH, keep: Callable[[], object] = lambda: None
) -> Swept:
    """Remove the pieces that no row needs and that were last used well before `before`.

    Rows from before `before` that still exist keep theirs. Each batch is a transaction of its own; if the
    sweep ends between two of them, calling it again completes it. `keep` is called after each batch: it
    renews the lease of whoever sweeps.
    """
    before, limits = _limits(before, now)
    for ends in _ends_of_rows(before):
        _mark(ends, limits, _hour(now))
        keep()
    return Swept(_remove(_NODES, limits, batch, keep), _remove(_BLOBS, limits, batch, keep))


def is_due(before: datetime, now: datetime) -> bool:
    """Whether there are pieces that a sweep with these times would look at."""
    limits = _limits(before, now)[1]
    with connection.cursor() as cursor:
        for table in (_NODES, _BLOBS):
            cursor.execute(table.is_any_stale, [limits.used, limits.marked])
            if cursor.fetchone() is not None:
                return True
    return False


def _limits(before: datetime, now: datetime) -> tuple[datetime, _Limits]:
    before = min(before, now - GRACE)
    return before, _Limits(_hour(before - MARGIN), _hour(now) - REMARK + 1)


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


def _mark(ends: Sequence[bytes], limits: _Limits, hour: int) -> None:
    """Mark what is reachable from `ends` and would otherwise be swept."""
    if not ends:
        return
    reached = _REACHED.replace("[ends]", ", ".join(["%s"] * len(ends)))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(reached + _REACHED_NODES, [*ends, limits.used, limits.marked])
        nodes = _sorted(cursor.fetchall())
        cursor.execute(reached + _REACHED_BLOBS, [*ends])
        pieces = cursor.fetchall()
        blobs = {bytes(digest) for digest, _ in pieces}
        blobs.update(digest for _, named in pieces if named for digest in digests(named))
        for table, reachable in ((_NODES, nodes), (_BLOBS, sorted(blobs))):
            if reachable:
                marks = [(hour, digest, limits.used, limits.marked) for digest in reachable]
                cursor.executemany(table.mark, marks)


def _remove(table: _Table, limits: _Limits, batch: int, keep: Callable[[], object]) -> int:
    """Remove what is stale and not marked, oldest first; returns how many."""
    removed = 0
    # behind the marked ones that stay
    since = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(table.stale, [since, limits.used, limits.marked, batch])
            rows = cursor.fetchall()
            if not rows:
                return removed
            since = rows[-1][1]
            stale = _sorted(rows)
            cursor.executemany(table.remove, [(digest, limits.used, limits.marked) for digest in stale])
            removed += len(stale)
        keep()


def _sorted(rows: Iterable[tuple[Any, ...]]) -> list[bytes]:
    """The digests in the order in which history/content/content_store.py writes them, which avoids
    deadlocks.
    """
    return sorted(bytes(row[0]) for row in rows)
