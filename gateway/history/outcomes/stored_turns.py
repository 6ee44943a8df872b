"""What the contents of ended exchanges say (turn_facts), read in memory where they are known, else from the
database.

Only the tail of a conversation is read, so a request late in a long session costs what the first one does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django.db import connection

from gateway.cache import GenerationalCache
from gateway.history.content import content_store
from gateway.history.content.chunking import Piece
from gateway.history.follow_up_queue import EndedExchange
from gateway.history.outcomes.turn_facts import (
    LONGEST_TAIL,
    UNREAD,
    TurnFacts,
    is_answer,
    tool_names,
    turn_facts,
)
from gateway.history.statements import among
from gateway.wire import json_bounds, jsontext
from gateway.wire.message_reader import read_answer

logger = logging.getLogger("gateway.history")

Tail = list[tuple[bytes, Any]]

# messages that are read first: the assistant's, the results, and one of role system
_FIRST: Final = 3
# characters of tools' names that are remembered; a session has one or two lists
_MOST_NAMES: Final = 2_000_000
_CALLS: Final = b'"tool_use"'
_TAILS: Final = """
WITH RECURSIVE chain (head, digest, parent, blob, depth) AS (
    SELECT node.digest, node.digest, node.parent, node.blob, 1
    FROM gateway_contentnode node WHERE node.digest IN ({places})
    UNION ALL
    SELECT chain.head, node.digest, node.parent, node.blob, chain.depth + 1
    FROM chain JOIN gateway_contentnode node ON node.digest = chain.parent
    WHERE chain.depth < LONGEST
)
SELECT head, digest, parent, blob FROM chain ORDER BY head, depth
"""
_BASES: Final = (
    "SELECT request_id, received_base FROM gateway_requestbody"
    " WHERE request_id IN ({places}) AND received_size > 0"
)
_BLOB: Final = "SELECT digest, blob FROM gateway_contentnode WHERE digest IN ({places})"


def _size(names: frozenset[str]) -> int:
    return 100 + sum(map(len, names))


_tools: Final = GenerationalCache[bytes, frozenset[str]](_MOST_NAMES, _size)


def facts_of(ended: Sequence[EndedExchange]) -> dict[str, TurnFacts]:
    """The facts of these exchanges by request id; UNREAD where contents are not kept or cannot be read."""
    tails = _tails([row for row in ended if row.head is not None])
    calling = [row.request_id for row in ended if _CALLS in row.returned]
    offered = _offered(calling)
    found: dict[str, TurnFacts] = {}
    for row in ended:
        found[row.request_id] = UNREAD
        tail = tails.get(row.head or b"")
        if not tail:
            continue
        try:
            answer = read_answer(row.returned).message if _CALLS in row.returned else None
            found[row.request_id] = turn_facts(tail, answer, offered.get(row.request_id))
        except Exception:
            # one that nobody can read does not stop the others
            logger.exception("the outcome of a request cannot be read", extra={"request_id": row.request_id})
    return found


def _tails(rows: Sequence[EndedExchange]) -> dict[bytes, Tail]:
    """The tails of conversations by the digests of their ends, oldest message first."""
    found: dict[bytes, Tail] = {}
    unknown: list[bytes] = []
    for row in rows:
        assert row.head is not None
        tail = _tail_of(row.head, row.fresh)
        if tail is None:
            unknown.append(row.head)
        else:
            found[row.head] = tail
    for longest in (_FIRST, LONGEST_TAIL):
        if unknown:
            found.update(_stored_tails(unknown, longest))
            unknown = [head for head in unknown if head in found and _is_open(found[head], longest)]
    return found


def _tail_of(head: bytes, fresh: Mapping[bytes, Piece]) -> Tail | None:
    """The tail from pieces in memory; None when it goes on where they end."""
    tail: Tail = []
    at: bytes | None = head
    while at is not None and len(tail) < LONGEST_TAIL:
        piece = fresh.get(at)
        if piece is None:
            return None
        tail.append((at, _message(piece.value)))
        if is_answer(tail[-1][1]):
            break
        at = piece.parent
    return tail[::-1]


def _stored_tails(heads: Sequence[bytes], longest: int) -> dict[bytes, Tail]:
    chains: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for start in range(0, len(heads), content_store.AT_ONCE):
        some = heads[start : start + content_store.AT_ONCE]
        statement = _TAILS.replace("LONGEST", str(longest)).format(places=", ".join(["%s"] * len(some)))
        with connection.cursor() as cursor:
            cursor.execute(statement, list(some))
            for head, digest, _parent, blob in cursor.fetchall():
                chains.setdefault(bytes(head), []).append((bytes(digest), bytes(blob)))
    plain = content_store.plain_blobs({blob for chain in chains.values() for _, blob in chain})
    found: dict[bytes, Tail] = {}
    for head, chain in chains.items():
        tail: Tail = []
        for digest, blob in chain:
            if blob not in plain:
                # swept away, or damaged: what is behind it would be attributed wrongly
                tail = []
                break
            tail.append((digest, _message(plain[blob])))
            if is_answer(tail[-1][1]):
                break
        found[head] = tail[::-1]
    return found


def _is_open(tail: Tail, longest: int) -> bool:
    return len(tail) == longest and not is_answer(tail[0][1])


def _message(value: Any) -> Any:
    if type(value) is not bytes:
        return value
    try:
        return json_bounds.loads(value)
    except (jsontext.InvalidJSON, RecursionError):
        return None


def _offered(request_ids: Sequence[str]) -> dict[str, frozenset[str]]:
    """The names of the tools that came with these requests."""
    if not request_ids:
        return {}
    bases: dict[str, Any] = dict(among(_BASES, len(request_ids)).rows(request_ids))
    ends = {bytes(base) for base in bases.values() if base is not None}
    names = {end: known for end in ends if (known := _tools.get(end)) is not None}
    names.update(_read_tools(ends - names.keys()))
    found: dict[str, frozenset[str]] = {}
    for request_id, base in bases.items():
        if base is None:
            found[request_id] = frozenset()
        elif bytes(base) in names:
            found[request_id] = names[bytes(base)]
    return found


def _read_tools(ends: Iterable[bytes]) -> dict[bytes, frozenset[str]]:
    """The tools are the last piece of a request's base; one that has none ends in a block of the system
    text.
    """
    wanted = list(ends)
    if not wanted:
        return {}
    blobs = {bytes(digest): bytes(blob) for digest, blob in among(_BLOB, len(wanted)).rows(wanted)}
    plain = content_store.plain_blobs(set(blobs.values()))
    found: dict[bytes, frozenset[str]] = {}
    for end, blob in blobs.items():
        if blob in plain:
            found[end] = tool_names(_message(plain[blob]))
            _tools.put(end, found[end])
    return found
