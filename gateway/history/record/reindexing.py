"""Rebuilding the search index, request by request in chronological order."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection

from gateway.history.record.follow_up import READ_AT_ONCE, index_again
from gateway.history.search import index
from gateway.models import RequestLog


def reindex() -> Iterator[int]:
    """Empty the index and fill it; how many requests are in it after each batch.

    A text is found under the request that brought it first, so the oldest are read first. What ends meanwhile
    is indexed by the process that serves it.
    """
    index.clear()
    number = 0
    rows = RequestLog.objects.order_by("started_at", "pk").exclude(state="open")
    names = list(rows.values_list("request_id", flat=True))
    connection.close_if_unusable_or_obsolete()
    for start in range(0, len(names), READ_AT_ONCE):
        number += index_again(names[start : start + READ_AT_ONCE])
        yield number
