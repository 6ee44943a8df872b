"""Stored conversations: how they began, and which continues which.

A conversation is named by the end of its chain of messages (RequestBody.received_head).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

from django.db import connection

from gateway.history.content.bodies import OPENING
from gateway.history.content.content_store import plain_blobs
from gateway.wire import jsontext

# the longest chain that is followed, with more messages than any client sends
LONGEST_CHAIN: Final = 20_000
_CHAINS: Final = """
WITH RECURSIVE chain (head, digest, parent, blob, depth) AS (
    SELECT digest, digest, parent, blob, 0 FROM gateway_contentnode WHERE digest IN ({places})
    UNION ALL
    SELECT chain.head, node.digest, node.parent, node.blob, chain.depth + 1
    FROM chain JOIN gateway_contentnode node ON node.digest = chain.parent
    WHERE chain.depth < %s
)
"""
_OPENINGS: Final = """
{chains} SELECT head, blob FROM (
    SELECT head, blob, ROW_NUMBER() OVER (PARTITION BY head ORDER BY depth DESC) AS place FROM chain
) placed
WHERE place <= %s ORDER BY head, place
"""
_NODES: Final = "{chains} SELECT digest, blob FROM chain ORDER BY depth DESC"


def openings(ends: Iterable[bytes], most: int = OPENING) -> dict[bytes, list[Any]]:
    """The first messages of the conversations with these ends, parsed, at most `most` each.

    A message that is gone or damaged is left out. Two queries.
    """
    heads = sorted(set(ends))
    if not heads:
        return {}
    statement = _OPENINGS.format(chains=_CHAINS.format(places=", ".join(["%s"] * len(heads))))
    with connection.cursor() as cursor:
        cursor.execute(statement, [*heads, LONGEST_CHAIN, most])
        rows = [(bytes(head), bytes(blob)) for head, blob in cursor.fetchall()]
    texts = plain_blobs({blob for _, blob in rows})
    found: dict[bytes, list[Any]] = {}
    for head, blob in rows:
        if blob in texts:
            found.setdefault(head, []).append(_parsed(texts[blob]))
    return found


def segments(ends: Sequence[bytes], most: int) -> list[bytes]:
    """Of these ends, newest first, those that no newer one contains: at most `most`, newest first.

    A conversation that grows by a turn contains what it was before. One that was compacted, rewound or
    forked does not, so each of those begins a segment of its own.
    """
    seen: set[bytes] = set()
    found: list[bytes] = []
    for end in ends:
        if end not in seen:
            if len(found) == most:
                break
            found.append(end)
            seen.update(digest for digest, _ in _nodes(end))
            seen.add(end)
    return found


def messages(end: bytes, start: int = 0, count: int | None = None) -> tuple[list[Any], int]:
    """Messages `start` to `start + count` of a conversation, parsed, and how many it has.

    A message that is gone or damaged is None. Two queries, however long the conversation is.
    """
    nodes = _nodes(end)
    stop = None if count is None else start + count
    wanted = [blob for _, blob in islice(nodes, start, stop)]
    texts = plain_blobs(set(wanted))
    return [_parsed(texts[blob]) if blob in texts else None for blob in wanted], len(nodes)


def _nodes(end: bytes) -> list[tuple[bytes, bytes]]:
    """(digest, blob) from the first message to the last."""
    with connection.cursor() as cursor:
        cursor.execute(_NODES.format(chains=_CHAINS.format(places="%s")), [end, LONGEST_CHAIN])
        return [(bytes(digest), bytes(blob)) for digest, blob in cursor.fetchall()]


def _parsed(text: bytes) -> Any:
    try:
        return jsontext.loads(text)
    except (jsontext.InvalidJSON, RecursionError):
        return None
