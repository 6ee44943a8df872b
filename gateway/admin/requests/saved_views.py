"""Saved views: a list with its filters under a name, private or shared."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse

from gateway.admin.ui.sanitize import inert
from gateway.models import SavedView

# lists that have views, by stored name
PAGES: Final = {
    "requestlog": "admin:gateway_requestlog_changelist",
    "sessiontotal": "admin:gateway_sessiontotal_changelist",
}
MOST: Final = 100
_LONGEST: Final = 1000
# the number of the page, and what a failed filter leaves, are not part of a view
_NOT_KEPT: Final = ("p", "e")


class ShownView(NamedTuple):
    """A view as the bar above the list shows it."""

    pk: int
    name: str
    query: str
    own: bool
    shared: bool
    current: bool


def views(request: HttpRequest, page: str) -> list[ShownView]:
    """The views of a list that a user may use, their own first."""
    user: Any = request.user
    rows = SavedView.objects.filter(Q(user=user) | Q(shared=True), page=page)
    here = _plain(request.GET.urlencode())
    found = [
        ShownView(row.pk, inert(row.name), row.query, row.user_id == user.pk, row.shared, row.query == here)
        for row in rows[:MOST]
    ]
    return sorted(found, key=lambda view: not view.own)


def save_view(request: HttpRequest) -> HttpResponse:
    """POST `page`, `query`, `name`, `shared`: save a view, or replace the user's own of that name.

    `remove`: the primary key of an own view to remove instead. Redirects to the list.
    """
    user: Any = request.user
    page = request.POST.get("page", "")
    if request.method != "POST" or page not in PAGES:
        raise PermissionDenied
    query = _plain(request.POST.get("query", "")[:_LONGEST])
    removed = request.POST.get("remove", "")
    name = " ".join(request.POST.get("name", "").replace("\x00", "").split())[:80]
    own = SavedView.objects.filter(user=user, page=page)
    if removed.isdecimal() and len(removed) < 18:
        own.filter(pk=int(removed)).delete()
    elif name and own.exclude(name=name).count() < MOST:
        shared = request.POST.get("shared") == "on"
        SavedView.objects.update_or_create(
            user=user, page=page, name=name, defaults={"query": query, "shared": shared}
        )
    return HttpResponseRedirect(reverse(PAGES[page]) + (f"?{query}" if query else ""))


def _plain(query: str) -> str:
    """A query string in canonical form, with the parameters of a view only."""
    given = QueryDict(query.replace("\x00", ""), mutable=True)
    for name in _NOT_KEPT:
        given.pop(name, None)
    return given.urlencode()
