"""The search of the history: by ids, names, and words of conversations, one index at a time."""

from __future__ import annotations

from typing import Any, Final

from django.db import connection
from django.db.models import Q, QuerySet

from gateway.admin.requests.query_language import read
from gateway.history.access import may_read_all, readable_requests, visible_requests
from gateway.history.search import index
from gateway.models import ClientKey, RequestLog

_REQUEST_ID_START: Final = "req_"
# up to this number, rows are looked up by id; beyond, the list is read back in time
_FEW: Final = 500
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
