"""The search index over the words of conversations: an FTS5 table on SQLite, a tsvector with GIN on
PostgreSQL.

Each message of a conversation is indexed once, under the request that brought it. Both indexes get words
that history/search/tokenizer.py has cut, so both find the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

from gateway.history.content.codec import compressed, decompressed
from gateway.history.search.tokenizer import Term, terms
from gateway.history.statements import Statement, among
from gateway.models import SearchText

# how many of the newest matches a search considers
MOST_FOUND: Final = 500
# the same for readers who may see only a few of them
MOST_LOOKED_THROUGH: Final = 5_000
AT_ONCE: Final = 200
# up to this many matches are read from PostgreSQL's index and sorted here
FEW: Final = 5_000

_PUT_TEXT: Final = Statement(
    "INSERT INTO gateway_searchtext (digest, request_id, words) VALUES (%s, %s, %s)"
    " ON CONFLICT (digest) DO NOTHING"
)
_NEXT_IDS: Final = Statement(
    "SELECT nextval(pg_get_serial_sequence('gateway_searchtext', 'id')) FROM generate_series(1, %s)"
)
_PUT_NUMBERED: Final = Statement(
    "INSERT INTO gateway_searchtext (id, digest, request_id) VALUES (%s, %s, %s)"
    " ON CONFLICT (digest) DO NOTHING"
)
_ANY: Final = "SELECT id FROM gateway_searchwords WHERE words @@ to_tsquery('simple', %s) LIMIT %s"
_NEWEST_TEXT: Final = Statement("SELECT coalesce(max(id), 0) FROM gateway_searchtext")
_TEXTS_SINCE: Final = Statement("SELECT id, digest FROM gateway_searchtext WHERE id > %s ORDER BY id")
_NEW_NODES: Final = """
WITH RECURSIVE chain (head, digest, parent, blob, depth) AS (
    SELECT node.digest, node.digest, node.parent, node.blob, 0
    FROM gateway_contentnode node WHERE node.digest IN ({places})
    AND NOT EXISTS (SELECT 1 FROM gateway_searchtext known WHERE known.digest = node.digest)
    UNION ALL
    SELECT chain.head, node.digest, node.parent, node.blob, chain.depth + 1
    FROM chain JOIN gateway_contentnode node ON node.digest = chain.parent
    WHERE NOT EXISTS (SELECT 1 FROM gateway_searchtext known WHERE known.digest = node.digest)
)
SELECT head, digest, parent, blob FROM chain ORDER BY head, depth DESC
"""

_KNOWN: Final = "SELECT digest FROM gateway_searchtext WHERE digest IN ({places})"

# digest, parent, blob
Node = tuple[bytes, bytes | None, bytes]


@dataclass(frozen=True, slots=True)
class NewText:
    """A text for the index: who brought it, its digest, and its words separated by spaces ("": none)."""

    request_id: str
    digest: bytes
    words: str


@dataclass(frozen=True, slots=True)
class _Index:
    """The statements for one database."""

    put: Statement
    remove: str
    find: str


_FTS5: Final = _Index(
    put=Statement("INSERT INTO gateway_searchwords (rowid, words) VALUES (%s, %s)"),
    remove="INSERT INTO gateway_searchwords (gateway_searchwords, rowid, words) VALUES ('delete', %s, %s)",
    find="SELECT rowid FROM gateway_searchwords"
    " WHERE gateway_searchwords MATCH %s ORDER BY rowid DESC LIMIT %s",
)
_TSVECTOR: Final = _Index(
    put=Statement(
        f"WITH new AS ({_PUT_NUMBERED.text} RETURNING id)"  # noqa: S608 (our own text)
        " INSERT INTO gateway_searchwords (id, words) SELECT id, to_tsvector('simple', %s) FROM new"
    ),
    remove="DELETE FROM gateway_searchwords WHERE id = %s",
    find="SELECT id FROM gateway_searchwords"
    " WHERE words @@ to_tsquery('simple', %s) ORDER BY id DESC LIMIT %s",
)


def known(digests: Sequence[bytes]) -> set[bytes]:
    """The digests that are in the index."""
    found: set[bytes] = set()
    for start in range(0, len(digests), MOST_FOUND):
        some = digests[start : start + MOST_FOUND]
        found.update(bytes(digest) for (digest,) in among(_KNOWN, len(some)).rows(some))
    return found


def new_nodes(ends: Sequence[bytes]) -> dict[bytes, list[Node]]:
    """For each end, the part of its chain that is not in the index, in order. One query."""
    found: dict[bytes, list[Node]] = {}
    if not ends:
        return found
    statement = _NEW_NODES.format(places=", ".join(["%s"] * len(ends)))
    with connection.cursor() as cursor:
        cursor.execute(statement, list(ends))
        for head, digest, parent, blob in cursor.fetchall():
            found.setdefault(bytes(head), []).append(
                (bytes(digest), None if parent is None else bytes(parent), bytes(blob))
            )
    return found


def put(texts: Sequence[NewText]) -> None:
    """Index texts inside the caller's transaction, in a few statements; known ones stay."""
    if not texts:
        return
    if _index() is _TSVECTOR:
        _put_numbered(texts)
        return
    # one writer at a time and increasing numbers: new rows have numbers above the last one
    [(newest,)] = _NEWEST_TEXT.rows(())
    _PUT_TEXT.many(
        [
            (text.digest, text.request_id, compressed(text.words.encode()) if text.words else None)
            for text in texts
        ]
    )
    words = {text.digest: text.words for text in texts}
    new = [(pk, words[bytes(digest)]) for pk, digest in _TEXTS_SINCE.rows([newest])]
    _FTS5.put.many([row for row in new if row[1]])


def _put_numbered(texts: Sequence[NewText]) -> None:
    """Index texts on PostgreSQL.

    They get their numbers in the order of time, because a search tells the newest first, and are written in
    the order of their digests: two processes that index the same texts wait for each other's rows, and in
    two orders each would wait for the other.
    """
    numbers = sorted(number for (number,) in _NEXT_IDS.rows([len(texts)]))
    rows = sorted(
        zip(numbers, texts, strict=True), key=lambda row: (bool(row[1].words), row[1].digest, row[0])
    )
    _PUT_NUMBERED.many([(number, text.digest, text.request_id) for number, text in rows if not text.words])
    _TSVECTOR.put.many(
        [(number, text.digest, text.request_id, text.words) for number, text in rows if text.words]
    )


def found(query: str, limit: int = MOST_FOUND) -> list[str]:
    """The ids of requests that brought a text with all terms of `query`, from the newest `limit` places."""
    wanted = terms(query)
    if not wanted:
        return []
    index = _index()
    asked = _fts5_query(wanted) if index is _FTS5 else _tsquery(wanted)
    with connection.cursor() as cursor:
        ids = _few(cursor, asked, limit) if index is _TSVECTOR else None
        if ids is None:
            cursor.execute(index.find, [asked, limit])
            ids = [row[0] for row in cursor.fetchall()]
    rows = SearchText.objects.filter(pk__in=ids).order_by("-pk")
    return list(dict.fromkeys(rows.values_list("request_id", flat=True)))


def _few(cursor: Any, asked: str, limit: int) -> list[int] | None:
    """The newest places of rare words on PostgreSQL; None when there are many.

    Asked for them in order, PostgreSQL walks back through all texts until it has enough: right for words that
    are everywhere, a second in a million texts for words that are nowhere.
    """
    cursor.execute(_ANY, [asked, FEW + 1])
    ids: list[int] = [row[0] for row in cursor.fetchall()]
    return sorted(ids, reverse=True)[:limit] if len(ids) <= FEW else None


def remove(request_ids: Sequence[str]) -> int:
    """Forget the texts that these requests brought; returns how many. In batches, each its own
    transaction.
    """
    removed = 0
    for start in range(0, len(request_ids), AT_ONCE):
        removed += _remove(request_ids[start : start + AT_ONCE])
    return removed


def _remove(request_ids: Sequence[str]) -> int:
    index = _index()
    with transaction.atomic():
        rows: list[tuple[int, Any]] = list(
            SearchText.objects.filter(request_id__in=request_ids).values_list("pk", "words")
        )
        with connection.cursor() as cursor:
            for pk, words in rows:
                if index is _TSVECTOR:
                    cursor.execute(index.remove, [pk])
                elif words is not None:
                    cursor.execute(index.remove, [pk, decompressed(words).decode()])
        SearchText.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
    return len(rows)


def clear() -> None:
    """Remove every text."""
    with transaction.atomic(), connection.cursor() as cursor:
        if _index() is _TSVECTOR:
            cursor.execute("DELETE FROM gateway_searchwords")
        else:
            cursor.execute("INSERT INTO gateway_searchwords (gateway_searchwords) VALUES ('delete-all')")
        SearchText.objects.all().delete()


def _index() -> _Index:
    return _TSVECTOR if connection.vendor == "postgresql" else _FTS5


def _fts5_query(wanted: Sequence[Term]) -> str:
    return " AND ".join(f'"{" ".join(term.words)}"{" *" if term.prefix else ""}' for term in wanted)


def _tsquery(wanted: Sequence[Term]) -> str:
    # words are letters and digits, so quotes are enough
    return " & ".join(
        "(" + " <-> ".join(f"'{word}'" for word in term.words) + (":*)" if term.prefix else ")")
        for term in wanted
    )
