"""What Ctrl-K finds besides pages: keys, people, sessions, providers, requests and problems."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from gateway.admin.ui import navigation
from gateway.admin.ui.base import SearchResult
from gateway.admin.ui.list_filters import requests_url
from gateway.admin.ui.sanitize import inert
from gateway.history.access import owned_keys, visible_requests
from gateway.models import ClientKey, ModelMapping, Provider, SessionTotal

_FEW: Final = 6
_SHORTEST_ID: Final = 4


def found(request: HttpRequest, _lowered: str = "") -> list[SearchResult]:
    """Results for the typed text, among the records that this user may see."""
    term = request.GET.get("s", "").replace("\x00", "").strip()[:200]
    if not term:
        return []
    results = [*_pages(request, term), *_records(request.user, term)]
    if len(term) >= _SHORTEST_ID and " " not in term:
        results += _history(request.user, term)
    search = requests_url({"q": term})
    return [*results, _result(_("Search the requests for: %s") % term, _("Requests"), search, "search")]


def _pages(request: HttpRequest, term: str) -> list[SearchResult]:
    groups = navigation.sidebar(request)
    return [
        _result(item["title"], group["title"], item["page"], item["icon"])
        for group in groups
        for item in group["items"]
        if term.casefold() in str(item["title"]).casefold()
    ]


def _records(user: Any, term: str) -> list[SearchResult]:
    results = []
    keys = ClientKey.objects.all() if user.has_perm("gateway.view_clientkey") else owned_keys(user)
    named = Q(name__icontains=term) | Q(owner__icontains=term) | Q(user__username__icontains=term)
    for key in keys.filter(named | Q(last_four=term) | Q(prefix=term[:8])).select_related("user")[:_FEW]:
        results.append(_page("clientkey", key.pk, key.name, _("Client key"), "key"))
    if user.has_perm("auth.view_user"):
        people = get_user_model()._default_manager.filter(
            Q(username__icontains=term) | Q(email__icontains=term) | Q(last_name__icontains=term)
        )
        for one in people[:_FEW]:
            address = reverse("admin:auth_user_change", args=[one.pk])
            results.append(_result(one.get_username(), _("User"), address, "person"))
    if user.has_perm("gateway.view_provider"):
        for provider in Provider.objects.filter(Q(name__icontains=term) | Q(slug__icontains=term))[:_FEW]:
            results.append(_page("provider", provider.pk, provider.name, _("Provider"), "dns"))
    if user.has_perm("gateway.view_modelmapping"):
        for mapping in ModelMapping.objects.filter(pattern__icontains=term)[:_FEW]:
            results.append(
                _page("modelmapping", mapping.pk, mapping.pattern, _("Model mapping"), "alt_route")
            )
    return results


def _history(user: Any, term: str) -> list[SearchResult]:
    """Sessions and requests whose id begins with the text."""
    results = []
    begins = Q(session_id__gte=term, session_id__lt=term + "\U0010ffff")
    sessions = SessionTotal.objects.filter(begins)
    if not user.has_perm("gateway.view_sessiontotal"):
        sessions = sessions.filter(holder=f"user:{user.pk}")
    for name in sessions.order_by("session_id").values_list("session_id", flat=True)[:_FEW]:
        results.append(_page("sessiontotal", quote(name), name, _("Session"), "account_tree"))
    rows = visible_requests(user).order_by().filter(request_id__gte=term, request_id__lt=term + "\U0010ffff")
    for row in rows.only("request_id")[:_FEW]:
        results.append(_page("requestlog", row.pk, row.request_id, _("Request"), "list_alt"))
    return results


def _page(record: str, pk: Any, title: str, kind: str, icon: str) -> SearchResult:
    return _result(title, kind, reverse(f"admin:gateway_{record}_change", args=[pk]), icon)


def _result(title: Any, kind: Any, link: str, icon: str) -> SearchResult:
    return SearchResult(inert(str(title)), str(kind), link, icon)
