"""The requests before and after one in the list from which the reader came.

Django names that list's filters in the address of each of its links (`_changelist_filters`).
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Q
from django.http import HttpRequest, QueryDict
from django.utils.http import urlencode

from gateway.admin.requests.query_language import wanted_words
from gateway.models import RequestLog

_PARAMETER = "_changelist_filters"
_LONGEST = 2_000
# the number of the page, and what a failed filter leaves, do not select rows
_NOT_FILTERS = ("p", "e", "o")


def of(pages: Any, request: HttpRequest, row: RequestLog) -> dict[str, Any]:
    """`newer` and `older`: primary keys or None. `list_filters`, `list_query`, `list_more`: for addresses.

    `list_words`: the words for which the list was searched.
    """
    filters = request.GET.get(_PARAMETER, "")[:_LONGEST].replace("\x00", "")
    rows = rows_of(pages, request, filters).order_by()
    at, pk = row.started_at, row.pk
    newer = rows.filter(started_at__gte=at).filter(Q(started_at__gt=at) | Q(started_at=at, pk__gt=pk))
    older = rows.filter(started_at__lte=at).filter(Q(started_at__lt=at) | Q(started_at=at, pk__lt=pk))
    more = urlencode({_PARAMETER: filters}) if filters else ""
    return {
        "newer": newer.order_by("started_at", "pk").values_list("pk", flat=True).first(),
        "older": older.order_by("-started_at", "-pk").values_list("pk", flat=True).first(),
        "list_filters": filters,
        "list_words": wanted_words(str(QueryDict(filters).get("q") or "")),
        "list_query": f"?{more}" if more else "",
        "list_more": f"&{more}" if more else "",
    }


def rows_of(pages: Any, request: HttpRequest, filters: str, *without: str) -> Any:
    """The rows of the list with these filters, `without` some of them; all that the user may see, where it
    cannot be asked for."""
    asked = QueryDict(filters, mutable=True)
    for name in (*_NOT_FILTERS, *without):
        asked.pop(name, None)
    here = request.GET
    request.GET = asked  # type: ignore[assignment]
    try:
        return pages.get_changelist_instance(request).queryset
    except (IncorrectLookupParameters, DisallowedModelAdminLookup):
        return pages.get_queryset(request)
    finally:
        request.GET = here
