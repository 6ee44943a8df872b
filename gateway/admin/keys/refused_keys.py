"""Client keys that clients sent and the gateway refused: their list, and the numbers for other pages."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from django.contrib import admin
from django.db.models import Max, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui.base import EmptyState, ReadOnlyAdmin
from gateway.admin.ui.html_format import NOTHING, badge, code, number_column, time_column
from gateway.admin.ui.paging import LookAheadList, LookAheadPaginator, page_number
from gateway.admin.ui.sanitize import inert
from gateway.models import ClientKey, RefusedKey
from gateway.models.history.refused_key import Reason

_DAYS: Final = 30


class RefusalSum(NamedTuple):
    """How often a key was refused for one reason, and when it last happened."""

    reason: str
    times: int
    last_at: datetime


def refusals_of(client_key_pk: int, today: date | None = None) -> list[RefusalSum]:
    """The refusals of one key in the last 30 days, newest first."""
    since = (today or datetime.now(UTC).date()) - timedelta(days=_DAYS)
    rows = RefusedKey.objects.order_by().filter(client_key_pk=client_key_pk, day__gt=since)
    sums = rows.values_list("reason").annotate(sum_of_times=Sum("times"), latest=Max("last_at"))
    words = dict(Reason.choices)
    found = [RefusalSum(str(words.get(reason, reason)), times, latest) for reason, times, latest in sums]
    return sorted(found, key=lambda one: one.last_at, reverse=True)


@admin.register(RefusedKey)
class RefusedKeyAdmin(ReadOnlyAdmin):
    list_display = (
        "key", "reason_is", number_column("times", _("times")), time_column("last_at", _("last")),
        time_column("first_at", _("first")), "address",
    )  # fmt: skip
    list_display_links = None
    list_filter = ("reason",)
    lookups = ("client_key_pk",)
    search_fields = ("^prefix", "last_address")
    search_help_text = _("The beginning of a key, or an address.")
    ordering = ("-last_at", "-pk")
    show_full_result_count = False
    list_per_page = 50
    empty_state = EmptyState(
        _("No key was refused"),
        _("A client key that is expired, revoked, of an inactive owner or not known here is counted here."),
    )

    def get_changelist(self, request: HttpRequest, **_: Any) -> Any:
        return LookAheadList

    def get_paginator(self, request: HttpRequest, queryset: Any, per_page: int, *_: Any, **__: Any) -> Any:
        return LookAheadPaginator(queryset, per_page, page_number(request.GET.get("p", "")))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, with the name of each row's key."""
        changelist = super().get_changelist_instance(request)
        pks = {row.client_key_pk for row in changelist.result_list}
        names = dict(ClientKey.objects.filter(pk__in=pks).values_list("pk", "name"))
        for row in changelist.result_list:
            row.key_name = names.get(row.client_key_pk, "")
        return changelist

    @admin.display(description=_("key"))
    def key(self, row: RefusedKey) -> SafeString:
        shown = code(f"{inert(row.prefix)}…") if row.prefix else NOTHING
        name = getattr(row, "key_name", "")
        if not name:
            return shown
        address = reverse("admin:gateway_clientkey_change", args=[row.client_key_pk])
        return format_html('<span><a class="gw-link" href="{}">{}</a> {}</span>', address, inert(name), shown)

    @admin.display(description=_("reason"), ordering="reason")
    def reason_is(self, row: RefusedKey) -> SafeString:
        return badge(row.get_reason_display(), "warn" if row.client_key_pk else "plain")

    @admin.display(description=_("last address"))
    def address(self, row: RefusedKey) -> str:
        return inert(row.last_address) or NOTHING
