"""The sidebar: its pages, and who sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui import time_range
from gateway.history.access import owns_keys


@dataclass(frozen=True)
class MenuItem:
    """One page. It appears if its URL name exists, for users with one of `permissions` (empty: everyone).

    `owners` shows it also to owners of client keys, to whom the page shows only what is theirs.
    """

    title: str | Promise
    icon: str
    page: str
    permissions: tuple[str, ...] = ()
    owners: bool = False


SECTIONS: Final[tuple[tuple[str | Promise, tuple[MenuItem, ...]], ...]] = (
    (
        _("Watch"),
        (
            MenuItem(_("Dashboard"), "dashboard", "admin:index"),
            MenuItem(
                _("Costs"),
                "paid",
                "admin:gateway_hourlytotal_changelist",
                ("gateway.view_hourlytotal",),
            ),
            MenuItem(
                _("Caching"),
                "cached",
                "admin:gateway_cachemiss_changelist",
                ("gateway.view_cachemiss",),
            ),
            MenuItem(
                _("Models"),
                "compare",
                "admin:gateway_hourlyoutcome_changelist",
                ("gateway.view_hourlyoutcome",),
            ),
            MenuItem(_("Problems"), "report", "admin:gateway_problem_changelist", ("gateway.view_problem",)),
            MenuItem(_("Live"), "sensors", "admin:gateway_requestlog_live", ("gateway.view_requestlog",)),
            MenuItem(
                _("Requests"),
                "list_alt",
                "admin:gateway_requestlog_changelist",
                ("gateway.view_requestlog",),
                owners=True,
            ),
            MenuItem(
                _("Sessions"),
                "account_tree",
                "admin:gateway_sessiontotal_changelist",
                ("gateway.view_sessiontotal",),
                owners=True,
            ),
            MenuItem(
                _("Evaluations"),
                "compare",
                "admin:gateway_evaluation_changelist",
                ("gateway.view_evaluation",),
            ),
            MenuItem(
                _("Datasets"),
                "dataset",
                "admin:gateway_dataset_changelist",
                ("gateway.view_dataset",),
            ),
        ),
    ),
    (
        _("Configure"),
        (
            MenuItem(_("Providers"), "dns", "admin:gateway_provider_changelist", ("gateway.view_provider",)),
            MenuItem(
                _("Model mappings"),
                "alt_route",
                "admin:gateway_modelmapping_changelist",
                ("gateway.view_modelmapping",),
            ),
            MenuItem(
                _("Learnt options"),
                "school",
                "admin:gateway_learntoption_changelist",
                ("gateway.view_learntoption",),
            ),
            MenuItem(
                _("Client keys"),
                "key",
                "admin:gateway_clientkey_changelist",
                ("gateway.view_clientkey",),
                owners=True,
            ),
            MenuItem(
                _("Refused keys"),
                "key_off",
                "admin:gateway_refusedkey_changelist",
                ("gateway.view_refusedkey",),
            ),
            MenuItem(
                _("Prices"), "payments", "admin:gateway_modelprice_changelist", ("gateway.view_modelprice",)
            ),
            MenuItem(
                _("Notifications"),
                "notifications",
                "admin:gateway_notificationchannel_changelist",
                ("gateway.view_notificationchannel",),
            ),
            MenuItem(
                _("Safeguard rules"),
                "shield",
                "admin:gateway_safeguardrule_changelist",
                ("gateway.view_safeguardrule",),
            ),
            MenuItem(
                _("Safety verdicts"),
                "block",
                "admin:gateway_safeguardverdict_changelist",
                ("gateway.view_safeguardverdict",),
            ),
            MenuItem(
                _("Search engines"),
                "travel_explore",
                "admin:gateway_searchengine_changelist",
                ("gateway.view_searchengine",),
            ),
        ),
    ),
    (
        _("Audit"),
        (
            MenuItem(_("Changes"), "history", "admin:admin_logentry_changelist", ("admin.view_logentry",)),
            MenuItem(
                _("Reads"),
                "visibility",
                "admin:gateway_contentread_changelist",
                ("gateway.view_contentread",),
            ),
            MenuItem(
                _("New from clients"),
                "new_releases",
                "admin:gateway_clientnovelty_changelist",
                ("gateway.view_clientnovelty",),
            ),
            MenuItem(
                _("Emergency stop"),
                "front_hand",
                "admin:gateway_emergencystop_changelist",
                ("gateway.view_emergencystop",),
            ),
            MenuItem(
                _("Retention"),
                "auto_delete",
                "admin:gateway_retention_changelist",
                ("gateway.view_retention",),
            ),
            MenuItem(
                _("Legal holds"), "gavel", "admin:gateway_legalhold_changelist", ("gateway.view_legalhold",)
            ),
            MenuItem(
                _("Secret patterns"),
                "password",
                "admin:gateway_secretpattern_changelist",
                ("gateway.view_secretpattern",),
            ),
        ),
    ),
    (
        _("People"),
        (
            MenuItem(_("Users"), "person", "admin:auth_user_changelist", ("auth.view_user",)),
            MenuItem(_("Groups"), "group", "admin:auth_group_changelist", ("auth.view_group",)),
            MenuItem(
                _("Limits of people"),
                "savings",
                "admin:gateway_personbudget_changelist",
                ("gateway.view_personbudget",),
            ),
            MenuItem(
                _("Client policies"),
                "policy",
                "admin:gateway_managedpolicy_changelist",
                ("gateway.view_managedpolicy",),
            ),
        ),
    ),
)


# pages with a time range, which links between them carry along
_WITH_RANGE: Final = frozenset(
    {
        "admin:index",
        "admin:gateway_hourlytotal_changelist",
        "admin:gateway_hourlyoutcome_changelist",
        "admin:gateway_cachemiss_changelist",
        "admin:gateway_requestlog_changelist",
        "admin:gateway_sessiontotal_changelist",
    }
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The navigation for the theme: sections with the entries that the user may open."""
    user: Any = request.user
    owns = cache(lambda: owns_keys(user))
    carried = time_range.carried(request)
    groups = []
    for title, entries in SECTIONS:
        links = [(entry, link) for entry, link in _linked(entries) if _may(user, entry, owns)]
        if links:
            items = [_item(*pair, carried) for pair in links]
            groups.append({"title": title, "separator": False, "items": items})
    _mark_current(groups, request.path)
    return groups


@dataclass(frozen=True)
class MenuPlace:
    """Where a page stands in the menu. `link`: the entry's address without a time range."""

    section: str | Promise
    title: str | Promise
    link: str


def place_of(path: str) -> MenuPlace | None:
    """The entry whose address is the longest prefix of `path`; the index is the place of itself alone."""
    index = reverse("admin:index")
    places = [
        MenuPlace(section, entry.title, link)
        for section, entries in SECTIONS
        for entry, link in _linked(entries)
        if link == path or (link != index and path.startswith(link))
    ]
    return max(places, key=lambda place: len(place.link), default=None)


def _linked(entries: tuple[MenuItem, ...]) -> Iterator[tuple[MenuItem, str]]:
    for entry in entries:
        try:
            yield entry, reverse(entry.page)
        except NoReverseMatch:
            # the page is not part of this installation
            continue


def _may(user: Any, entry: MenuItem, owns: Callable[[], bool]) -> bool:
    if not entry.permissions or any(user.has_perm(name) for name in entry.permissions):
        return True
    return entry.owners and owns()


def _item(entry: MenuItem, link: str, carried: str) -> dict[str, Any]:
    address = f"{link}{carried}" if entry.page in _WITH_RANGE else link
    return {"title": entry.title, "icon": entry.icon, "link": address, "page": link, "active": False}


def _mark_current(groups: list[dict[str, Any]], path: str) -> None:
    """Mark the entry that is the place of this page."""
    place = place_of(path)
    for group in groups:
        for item in group["items"]:
            item["active"] = place is not None and item["page"] == place.link
