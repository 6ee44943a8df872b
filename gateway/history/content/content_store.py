"""The pieces of bodies in the database: written once, read as chains, stamped when used.

The statements are the same on SQLite and PostgreSQL. Rows are written in the
order of their digests, so that two processes storing the same pieces wait for
each other instead of locking each other out.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any, Final

from django.db import connection, transaction

from gateway.cache import GenerationalCache
from gateway.history.content.chunking import Chain, Piece
from gateway.history.content.codec import Damaged, compressed, decompressed
from gateway.history.content.long_texts import put_back, taken_out
from gateway.history.statements import Statement, among
from gateway.models import ContentBlob
from gateway.wire import jsontext

HOUR: Final = 3600
DIGEST: Final = 32
# values in one IN (...)
AT_ONCE: Final = 500
# digests that Known remembers: two hundred long conversations, about 18 MB
MOST_KNOWN: Final = 120_000

_PUT_NODE: Final = Statement("""
INSERT INTO gateway_contentnode (digest, parent, blob, used) VALUES (%s, %s, %s, %s)
ON CONFLICT (digest) DO UPDATE SET used = excluded.used WHERE gateway_contentnode.used < excluded.used
""")
_PUT_BLOB: Final = Statement("""
INSERT INTO gateway_contentblob (digest, data, texts, used) VALUES (%s, %s, %s, %s)
ON CONFLICT (digest) DO UPDATE SET used = excluded.used WHERE gateway_contentblob.used < excluded.used
""")
_CHAIN: Final = """
WITH RECURSIVE chain (parent, blob, depth) AS (
    SELECT parent, blob, 0 FROM gateway_contentnode WHERE digest = %s
    UNION ALL
    SELECT node.parent, node.blob, chain.depth + 1
    FROM chain JOIN gateway_contentnode node ON node.digest = chain.parent
)
SELECT piece.data, piece.texts, chain.parent IS NULL
FROM chain LEFT JOIN gateway_contentblob piece ON piece.digest = chain.blob
ORDER BY chain.depth DESC
"""
_BLOBS: Final = "SELECT digest, data, texts FROM gateway_contentblob WHERE digest IN ({places})"


class Missing(LookupError):
    """A chain has a gap: somebody removed what was in use."""


class Known:
    """Nodes that this process stored or stamped in this hour or the last. For any thread.

    What is known is not written again. It is forgotten long before the sweep may
    take it (history/content/sweep.py), and when the clock is set back.
    """

    def __init__(self, most: int = MOST_KNOWN) -> None:
        # digest -> the hour of its stamp
        self._stamped: GenerationalCache[bytes, int] = GenerationalCache(most)

    def __len__(self) -> int:
        return len(self._stamped)

    def unknown(self, chains: Iterable[Chain], hour: int) -> dict[bytes, Piece]:
        """The pieces of `chains` that have to be written in `hour`, by digest."""
        stamped = self._stamped.get

        def fresh(digest: bytes) -> bool:
            at = stamped(digest)
            return at is not None and 0 <= hour - at <= 1

        return {piece.digest: piece for chain in chains for piece in chain.pieces(fresh)}

    def add(self, digests: Iterable[bytes], hour: int) -> None:
        """Note what was stored, with `hour` as its stamp, by a transaction that is committed."""
        for digest in digests:
            self._stamped.put(digest, hour)

    def forget(self) -> None:
        """Forget everything, as after the database was replaced."""
        self._stamped.clear()


known = Known()


def this_hour() -> int:
    """Hours since 1970: the unit of the stamps. The wall clock, because it goes on while a machine sleeps."""
    return int(time.time()) // HOUR


def put(chains: Iterable[Chain]) -> dict[bytes, Piece]:
    """Store the pieces that this process does not know to be stored, inside the caller's transaction.

    Returns them by digest.
    """
    hour = this_hour()
    new = known.unknown(chains, hour)
    if not new:
        return new
    nodes: list[tuple[bytes, bytes | None, bytes, int]] = []
    blobs: dict[bytes, tuple[bytes, bytes, bytes | None, int]] = {}
    for digest, piece in new.items():
        text = piece.text()
        blob = sha256(text).digest()
        nodes.append((digest, piece.parent, blob, hour))
        if blob in blobs:
            continue
        left, long = taken_out(piece.value)
        texts = []
        for plain in map(jsontext.dumps, long):
            texts.append(sha256(plain).digest())
            if texts[-1] not in blobs:
                blobs[texts[-1]] = (texts[-1], compressed(plain), None, hour)
        blobs[blob] = (
            blob,
            compressed(jsontext.dumps(left) if long else text),
            b"".join(texts) or None,
            hour,
        )
    # digests are unique, so sorting never compares what follows them
    nodes.sort()
    _PUT_NODE.many(nodes)
    _PUT_BLOB.many(sorted(blobs.values()))
    transaction.on_commit(partial(known.add, tuple(new), hour))
    return new


def pieces(end: bytes | None) -> list[bytes]:
    """The plain pieces of the chain that ends at `end`, first to last; two queries.

    Raises Missing or Damaged.
    """
    if end is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_CHAIN, [end])
        rows = cursor.fetchall()
    if not rows or not rows[0][2] or any(data is None for data, _, _ in rows):
        raise Missing("a piece of the stored text is gone")
    texts = _texts({digest for _, named, _ in rows if named for digest in digests(named)})
    return [_whole(decompressed(data), named, texts) for data, named, _ in rows]


def plain_blobs(wanted: Iterable[bytes]) -> dict[bytes, bytes]:
    """The plain bytes of blobs by digest; those that are gone or damaged are left out."""
    every = list(wanted)
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(every), AT_ONCE):
        some = every[start : start + AT_ONCE]
        rows += among(_BLOBS, len(some)).rows(some)
    texts = _texts({digest for _, _, named in rows if named for digest in digests(named)})
    found: dict[bytes, bytes] = {}
    for digest, data, named in rows:
        with contextlib.suppress(Damaged, Missing):
            found[bytes(digest)] = _whole(decompressed(data), named, texts)
    return found


def digests(named: bytes | memoryview) -> list[bytes]:
    """The digests that stand one after the other in ContentBlob.texts."""
    text = bytes(named)
    return [text[start : start + DIGEST] for start in range(0, len(text), DIGEST)]


def _texts(wanted: Iterable[bytes]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    every = sorted(wanted)
    for start in range(0, len(every), AT_ONCE):
        blobs = ContentBlob.objects.filter(pk__in=every[start : start + AT_ONCE])
        for digest, data in blobs.values_list("digest", "data"):
            found[bytes(digest)] = jsontext.loads(decompressed(data))
    return found


def _whole(plain: bytes, named: bytes | memoryview | None, texts: Mapping[bytes, str]) -> bytes:
    if not named:
        return plain
    try:
        return jsontext.dumps(put_back(jsontext.loads(plain), [texts[digest] for digest in digests(named)]))
    except LookupError:
        raise Missing("a text of a stored message is gone") from None
