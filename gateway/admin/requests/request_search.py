"""The search of the history: by ids, names, and words of conversations, one index at a time.

What a search found is shown with the words around it (`excerpts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from django.db import connection
from django.db.models import Q, QuerySet

from gateway.admin.requests.query_language import read, wanted_words
from gateway.admin.ui.sanitize import inert
from gateway.history.access import may_read_all, note_reads, readable_requests, visible_requests
from gateway.history.content import bodies
from gateway.history.search import index
from gateway.models import ClientKey, RequestLog
from gateway.wire import jsontext
from gateway.wire.message_reader import read_answer

_REQUEST_ID_START: Final = "req_"
# up to this number, rows are looked up by id; beyond, the list is read back in time
_FEW: Final = 500
# the most requests of a page whose texts are searched for excerpts, and characters of all these texts
_MOST_EXCERPTS: Final = 50
_MOST_LOOKED_AT: Final = 20_000_000
# characters on each side of a hit
_AROUND: Final = 80
# names and numbers of the protocol, and what is no text
_NOT_SAID: Final = frozenset(
    {"type", "role", "id", "tool_use_id", "model", "media_type", "data", "signature", "cache_control"}
)
# characters of a session id that identify it
_SHORTEST_ID: Final = 6
# the condition of the index of these ids
_HAS_UPSTREAM_ID: Final = ~Q(upstream_request_id="")


def found(queryset: QuerySet[RequestLog], term: str, user: Any) -> QuerySet[RequestLog]:
    """The rows of `queryset` that `user` may find by `term`; all rows without a term."""
    asked = read(term)
    if asked.condition is not None:
        queryset = queryset.filter(asked.condition)
    term = asked.words
    if not term:
        return queryset
    if term.startswith(_REQUEST_ID_START):
        return queryset.filter(_ids_beginning_with(term))
    for named in (
        Q(session_id=term),
        Q(upstream_request_id=term) & _HAS_UPSTREAM_ID,
        Q(asked_model=term),
    ):
        # in one query they would scan the whole table
        if visible_requests(user).filter(named).exists():
            return queryset.filter(named)
    begun = _begins_a_session(term)
    if begun is not None and visible_requests(user).order_by().filter(begun).exists():
        return queryset.filter(begun)
    keys = _keys_named(term)
    if keys and visible_requests(user).filter(client_key_id__in=keys).exists():
        return queryset.filter(client_key_id__in=keys)
    readable = readable_requests(user, queryset)
    if not readable.query.is_empty():
        most = index.MOST_FOUND if may_read_all(user) else index.MOST_LOOKED_THROUGH
        readable = readable.filter(request_id__in=index.found(term, most))
    return readable


def _begins_a_session(term: str) -> Q | None:
    """Sessions by the beginning of their id, as lists show it."""
    if len(term) < _SHORTEST_ID or " " in term:
        return None
    return Q(session_id__gte=term, session_id__lt=term + "\U0010ffff") & ~Q(session_id="")


def _keys_named(term: str) -> list[int]:
    """Client keys with this name, or with an owner of this name."""
    named = Q(name__iexact=term) | Q(user__username__iexact=term) | Q(owner__iexact=term)
    return list(ClientKey.objects.filter(named).values_list("pk", flat=True)[:_FEW])


def _ids_beginning_with(term: str) -> Q:
    """Requests by the beginning of an id: few are looked up; of many, reading back soon finds the newest."""
    begins = Q(request_id__startswith=term)
    # PostgreSQL uses its index for LIKE with a prefix where that helps; SQLite never does
    ranged = Q(request_id__gte=term, request_id__lt=term + "\U0010ffff")
    indexed = ranged if connection.vendor == "sqlite" else begins
    few = list(RequestLog.objects.order_by().filter(indexed).values_list("pk", flat=True)[: _FEW + 1])
    return Q(pk__in=few) if len(few) <= _FEW else begins


class Excerpt(NamedTuple):
    """A hit and the words on both sides of it, inert."""

    before: str
    hit: str
    after: str


def excerpts(user: Any, term: str, pks: Sequence[int]) -> dict[int, Excerpt]:
    """Where the words of `term` stand in what `user` may read of these requests, by primary key.

    Each one is noted as read. Requests without a place, or with unreadable contents, are left out.
    """
    words = [word.lower() for word in wanted_words(term)]
    if not words:
        return {}
    found: dict[int, Excerpt] = {}
    names: list[str] = []
    room = _MOST_LOOKED_AT
    readable = readable_requests(user, visible_requests(user)).order_by("-pk")
    for pk, name in readable.filter(pk__in=pks[:_MOST_EXCERPTS]).values_list("pk", "request_id"):
        if room <= 0:
            break
        texts = list(_said(name))
        room -= sum(map(len, texts))
        place = _best_place(texts, words)
        if place is not None:
            found[pk] = place
            names.append(name)
    note_reads(user, names, "excerpt")
    return found


def _said(request_id: str) -> Iterator[str]:
    """The texts of an exchange: the newest message first, then the answer, then the system prompt."""
    try:
        stored = bodies.stored(request_id)
        received = None if stored is None else stored.text("received")
        returned = None if stored is None else stored.text("returned")
    except bodies.UnreadableContent:
        return
    try:
        asked = jsontext.loads(received or b"{}")
    except jsontext.InvalidJSON:
        asked = {}
    asked = asked if isinstance(asked, dict) else {}
    messages = asked.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        yield from _texts(message)
    yield from _texts(read_answer(returned or b"").message)
    yield from _texts(asked.get("system"))


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(item for key, item in reversed(value.items()) if key not in _NOT_SAID)
        elif isinstance(value, list):
            waiting.extend(reversed(value))
        elif isinstance(value, str):
            yield value


def _best_place(texts: Sequence[str], words: Sequence[str]) -> Excerpt | None:
    """The first hit in the first text that has all words; else in the first that has any."""
    some: Excerpt | None = None
    for text in texts:
        small = text.lower()
        # letters of another length in small would shift the places
        searched = small if len(small) == len(text) else text
        places = [(searched.find(word), len(word)) for word in words]
        hits = [place for place in places if place[0] >= 0]
        if not hits or (some is not None and len(hits) < len(words)):
            continue
        at, length = min(hits)
        some = Excerpt(
            inert(_line(text[max(0, at - _AROUND) : at])),
            inert(text[at : at + length]),
            inert(_line(text[at + length : at + length + _AROUND])),
        )
        if len(hits) == len(words):
            break
    return some


def _line(text: str) -> str:
    """On one line, with a space where it was at an end."""
    line = " ".join(text.split())
    return f"{' ' if text[:1].isspace() else ''}{line}{' ' if line and text[-1:].isspace() else ''}"
