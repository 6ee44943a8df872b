"""Misses of the prompt cache, found in stored requests and kept as rows of CacheMiss.

The follow-up asks for each request that ended. Most need one look at their row: a miss has at least
LEAST tokens that were not read. Only then the request before it is looked for, and only when that could have
been read, what the two consist of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import transaction

from gateway.client_protocol.purpose import RequestClass
from gateway.history.caching.diagnosis import LEAST, ComparedRequest, Miss, diagnosed, is_miss
from gateway.history.caching.differences import (
    TOOLS,
    Name,
    PromptShape,
    changed_tools,
    lengths,
    names_by_place,
    shape,
    whose,
)
from gateway.history.caching.lifetimes import lifetime_of
from gateway.history.caching.money import lost_by
from gateway.history.content import content_store
from gateway.history.content.codec import Damaged, decompressed
from gateway.history.statements import Statement, among
from gateway.pricing.book import PriceBook
from gateway.wire import json_bounds, jsontext

# how long before a request the one before it may have begun
LONGEST_GAP: Final = timedelta(days=2)
# earlier requests of the agent among which one has ended
_EARLIER: Final = 8
# requests that carry an agent's conversation on; a compaction has the same prefix
_CONVERSING: Final = (
    RequestClass.MAIN.value, RequestClass.SUBAGENT.value, RequestClass.WORKFLOW.value,
    RequestClass.UNKNOWN.value,
)  # fmt: skip
_COMPARED: Final = (*_CONVERSING, RequestClass.COMPACTION.value)
# values in one IN (...)
_AT_ONCE: Final = 500
# pieces of a chain, more than any conversation has
_LONGEST: Final = 1_000_000
# durations are whole milliseconds
_ROUNDED: Final = timedelta(milliseconds=1)


class _Row(NamedTuple):
    """What is needed of a stored request: columns of RequestLog, as the database gives them."""

    request_id: str
    started_at: Any
    duration_ms: int | None
    owner_id: int | None
    client_key_id: int | None
    session_id: str
    agent_id: str
    request_class: str
    asked_model: str
    provider: str
    upstream_model: str
    ledger: Any
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cache_write_1h_tokens: int | None
    service_tier: str

    @property
    def prompt(self) -> int:
        return (self.input_tokens or 0) + (self.cache_read_tokens or 0) + (self.cache_write_tokens or 0)

    @property
    def began(self) -> datetime:
        # SQLite keeps a time as text in UTC
        at = self.started_at
        return datetime.fromisoformat(at).replace(tzinfo=UTC) if isinstance(at, str) else at

    @property
    def ended(self) -> datetime:
        return self.began + timedelta(milliseconds=self.duration_ms or 0)


def _among(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


_COLUMNS: Final = ", ".join(f"log.{name}" for name in _Row._fields)
_JUDGED: Final = (
    "log.cache_read_tokens IS NOT NULL AND NOT log.usage_estimated AND log.attempts > 0"
    " AND log.endpoint = 'messages' AND log.state = 'ok' AND log.task = ''"
)
# those that may be a miss, and those that were one
_CANDIDATES: Final = f"""
SELECT miss.request_id, {_JUDGED} AND log.session_id <> '' AND log.request_class IN ({_among(_COMPARED)}),
    {_COLUMNS}
FROM gateway_requestlog log LEFT JOIN gateway_cachemiss miss ON miss.request_id = log.request_id
WHERE log.request_id IN ({{places}}) AND (
    miss.request_id IS NOT NULL
    OR coalesce(log.input_tokens, 0) + coalesce(log.cache_write_tokens, 0) > {LEAST}
)
"""  # noqa: S608 (our columns)
_HOLDERS: Final = {
    "owner": "log.owner_id = %s",
    "key": "log.owner_id IS NULL AND log.client_key_id = %s",
    "": "log.owner_id IS NULL AND log.client_key_id IS NULL",
}
_OF_AGENT: Final = f"""
SELECT {_COLUMNS} FROM gateway_requestlog log
WHERE log.session_id = %s AND log.agent_id = %s AND log.started_at < %s AND log.started_at >= %s
    AND {_JUDGED} AND {{holder}} AND log.request_class {{which}}
ORDER BY log.started_at DESC, log.id DESC LIMIT {_EARLIER}
"""  # noqa: S608 (our columns)
_OF_ONE_CLASS: Final = {
    holder: Statement(_OF_AGENT.format(holder=condition, which="= %s"))
    for holder, condition in _HOLDERS.items()
}
_OF_CONVERSATION: Final = {
    holder: Statement(_OF_AGENT.format(holder=condition, which=f"IN ({_among(_CONVERSING)})"))
    for holder, condition in _HOLDERS.items()
}
_BODIES: Final = (
    "SELECT request_id, recipe, received_base, received_head, sent_base, sent_head,"
    " (SELECT credential FROM gateway_attempt attempt WHERE attempt.request_id = body.request_id"
    " ORDER BY number DESC LIMIT 1)"
    " FROM gateway_requestbody body"
    " WHERE request_id IN ({places}) AND received_size > 0 AND sent_size > 0"
)
_CHAIN: Final = Statement("""
WITH RECURSIVE chain (digest, parent, blob, depth) AS (
    SELECT digest, parent, blob, 1 FROM gateway_contentnode WHERE digest = %s
    UNION ALL
    SELECT node.digest, node.parent, node.blob, chain.depth + 1
    FROM chain JOIN gateway_contentnode node ON node.digest = chain.parent
    WHERE chain.depth < %s
)
SELECT digest, blob FROM chain ORDER BY depth
""")
# back from the ends of two chains of one length, to the last digest that both have
_PAIR: Final = Statement("""
WITH RECURSIVE pair (one, other, steps) AS (
    SELECT a.digest, b.digest, 0 FROM gateway_contentnode a, gateway_contentnode b
    WHERE a.digest = %s AND b.digest = %s
    UNION ALL
    SELECT a.parent, b.parent, pair.steps + 1
    FROM pair JOIN gateway_contentnode a ON a.digest = pair.one
    JOIN gateway_contentnode b ON b.digest = pair.other
    WHERE pair.one <> pair.other
)
SELECT one = other, steps FROM pair ORDER BY steps DESC LIMIT 1
""")
_BACK: Final = Statement("""
WITH RECURSIVE chain (digest, steps) AS (
    SELECT digest, 0 FROM gateway_contentnode WHERE digest = %s
    UNION ALL
    SELECT node.parent, chain.steps + 1
    FROM chain JOIN gateway_contentnode node ON node.digest = chain.digest
    WHERE chain.steps < %s
)
SELECT digest, steps FROM chain ORDER BY steps DESC LIMIT 1
""")
_GONE: Final = Statement("DELETE FROM gateway_cachemiss WHERE request_id = %s")
_WRITTEN: Final = (
    "request_id", "before_id", "started_at", "session_id", "culprit", "item", "place", "reason", "source",
    "tokens", "money",
)  # fmt: skip
# one whose row was removed meanwhile has nothing to stand beside
_PUT: Final = Statement(
    f"INSERT INTO gateway_cachemiss ({', '.join(_WRITTEN)}) SELECT {', '.join(['%s'] * len(_WRITTEN))}"  # noqa: S608
    " WHERE EXISTS (SELECT 1 FROM gateway_requestlog log WHERE log.request_id = %s)"
    " ON CONFLICT (request_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _WRITTEN[1:])
)

Prices = Callable[[], PriceBook]


class _Request(NamedTuple):
    """A row with what it consists of; the shapes are None where contents are not kept."""

    row: _Row
    received: PromptShape | None
    sent: PromptShape | None
    credential: str

    def compared(self) -> ComparedRequest:
        row = self.row
        ledger = jsontext.loads(row.ledger) if isinstance(row.ledger, str) else row.ledger
        entries = [entry for entry in ledger if isinstance(entry, Mapping)]
        return ComparedRequest(
            row.began,
            row.ended,
            row.provider,
            row.upstream_model,
            self.credential,
            row.prompt,
            row.cache_read_tokens or 0,
            self.received,
            self.sent,
            [(str(entry.get("path")), str(entry.get("note"))) for entry in entries],
            row.asked_model,
            lifetime_of(row.upstream_model, row.cache_write_1h_tokens),
        )


def count_misses(request_ids: Iterable[str], prices: Prices) -> int:
    """Look at these ended requests, or look again, and keep which of them missed the cache; returns how
    many did.

    `prices` are asked for when there is a miss. Raises what the database raises.
    """
    found: list[tuple[Any, ...]] = []
    gone: list[tuple[str]] = []
    for missed_before, judged, row in _candidates(list(dict.fromkeys(request_ids))):
        miss = _found(row, prices) if judged else None
        if miss is not None:
            found.append(miss)
        elif missed_before:
            gone.append((row.request_id,))
    if found or gone:
        with transaction.atomic():
            _GONE.many(gone)
            _PUT.many(found)
    return len(found)


def _candidates(request_ids: Sequence[str]) -> Iterator[tuple[bool, bool, _Row]]:
    for start in range(0, len(request_ids), _AT_ONCE):
        some = request_ids[start : start + _AT_ONCE]
        for known, judged, *values in among(_CANDIDATES, len(some)).rows(some):
            yield known is not None, bool(judged), _Row._make(values)


def _found(row: _Row, prices: Prices) -> tuple[Any, ...] | None:
    """The miss that a request is, as the values of _PUT."""
    last = _before(row)
    if last is None or not is_miss(last.prompt, row.prompt, row.cache_read_tokens or 0):
        return None
    before, after = _requests(last, row)
    miss = diagnosed(before.compared(), after.compared())
    return None if miss is None else _values(before, after, miss, prices())


def _before(row: _Row) -> _Row | None:
    """The request before it, of the same agent, that had ended when it began."""
    given = [row.session_id, row.agent_id, row.started_at, _as_stored(row.began - LONGEST_GAP, row)]
    if row.owner_id is not None:
        holder, of = "owner", [row.owner_id]
    else:
        holder, of = ("", []) if row.client_key_id is None else ("key", [row.client_key_id])
    if row.request_class in _CONVERSING:
        earlier = _OF_ONE_CLASS[holder].rows([*given, *of, row.request_class])
    else:
        earlier = _OF_CONVERSATION[holder].rows([*given, *of])
    return next((one for one in map(_Row._make, earlier) if one.ended <= row.began + _ROUNDED), None)


def _as_stored(moment: datetime, row: _Row) -> Any:
    """A moment in the form in which the database gave the row's."""
    return moment.replace(tzinfo=None).isoformat(" ") if isinstance(row.started_at, str) else moment


def _values(before: _Request, after: _Request, miss: Miss, prices: PriceBook) -> tuple[Any, ...]:
    row, difference = after.row, miss.difference
    return (
        row.request_id, before.row.request_id, row.started_at, row.session_id, miss.culprit,
        difference.item if difference else "", difference.place if difference else None, miss.reason[:200],
        _source(before, after, miss), miss.tokens,
        lost_by(miss.tokens, row, row.began, prices), row.request_id,
    )  # fmt: skip


def _source(before: _Request, after: _Request, miss: Miss) -> str:
    """Whose tools changed."""
    if miss.difference is None or miss.difference.item != TOOLS:
        return ""
    shapes = (before.received, after.received) if miss.culprit == "client" else (before.sent, after.sent)
    named = [shape.tools[-1] if shape is not None and shape.tools else None for shape in shapes]
    plain = content_store.plain_blobs({name for name in named if isinstance(name, bytes)})
    old, new = (_json(plain.get(name)) if isinstance(name, bytes) else None for name in named)
    return whose(changed_tools(old, new))


def _json(text: bytes | None) -> Any:
    try:
        return None if text is None else json_bounds.loads(text)
    except (jsontext.InvalidJSON, RecursionError):
        return None


def _requests(last: _Row, row: _Row) -> tuple[_Request, _Request]:
    names = (last.request_id, row.request_id)
    kept = {name: parts for name, *parts in among(_BODIES, 2).rows(names)}
    received, sent = _shapes(*(kept.get(name) for name in names))
    before, after = (
        _Request(one, *shapes, (kept.get(one.request_id, [""])[-1] or ""))
        for one, shapes in zip((last, row), zip(received, sent, strict=True), strict=True)
    )
    return before, after


_Pair = tuple[PromptShape, PromptShape] | tuple[None, None]
_NOTHING: Final = (None, None)


def _shapes(before: list[Any] | None, after: list[Any] | None) -> tuple[_Pair, _Pair]:
    """What came with two requests, and what was sent, by their rows of _BODIES; None where the contents of
    one are not kept.
    """
    if before is None or after is None:
        return _NOTHING, _NOTHING
    try:
        old, new = (jsontext.loads(decompressed(row[0])) for row in (before, after))
    except (Damaged, jsontext.InvalidJSON):
        return _NOTHING, _NOTHING
    ends = [[None if end is None else bytes(end) for end in row[1:5]] for row in (before, after)]
    received, sent = (
        _compared(old[part], new[part], ends[0][place : place + 2], ends[1][place : place + 2])
        for part, place in (("received", 0), ("sent", 2))
    )
    return received, sent


def _compared(
    old: dict[str, Any] | None, new: dict[str, Any] | None, before: list[Any], after: list[Any]
) -> tuple[PromptShape, PromptShape]:
    """Two stored bodies, given their recipes and the ends of their bases and messages."""
    (old_base, old_number), (new_base, new_number) = lengths(old), lengths(new)
    bases: tuple[Sequence[Name], Sequence[Name]]
    if before[0] == after[0]:
        bases = names_by_place(old_base, old_base, new_base)
    else:
        bases = [blob for _, blob in _chain(before[0])], [blob for _, blob in _chain(after[0])]
    shared = _shared(before[1], old_number, after[1], new_number)
    heads = names_by_place(shared, old_number, new_number)
    return shape(old, bases[0], heads[0]), shape(new, bases[1], heads[1])


def _shared(before: bytes | None, old: int, after: bytes | None, new: int) -> int:
    """How many pieces two chains of these lengths have in common.

    A piece's digest covers all before it, so the pieces of a prefix have the same ones. The way leads back
    from the ends and stops at the first piece that both have, which usually is near.
    """
    common = min(old, new)
    one, other = _back(before, old - common), _back(after, new - common)
    if one is None or other is None:
        return 0
    if one == other:
        return common
    rows = _PAIR.rows([one, other])
    return max(0, common - rows[0][1]) if rows and rows[0][0] else 0


def _back(end: bytes | None, steps: int) -> bytes | None:
    """The digest so many pieces before the end of a chain; None when the chain is not as long."""
    if end is None or not steps:
        return end
    rows = _BACK.rows([end, steps])
    digest, went = rows[0] if rows else (None, 0)
    return None if digest is None or went < steps else bytes(digest)


def _chain(end: bytes | None) -> list[tuple[bytes, bytes]]:
    """The digests and blobs of a chain, in order."""
    if end is None:
        return []
    rows = _CHAIN.rows([end, _LONGEST])
    return [(bytes(digest), bytes(blob)) for digest, blob in reversed(rows)]
