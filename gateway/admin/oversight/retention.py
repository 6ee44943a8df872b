"""Retention, legal holds, secret patterns, and who read what."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import lazy
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from gateway.admin.requests.request_page import TABS
from gateway.admin.ui.base import EmptyState, GatewayModelAdmin, ReadOnlyAdmin
from gateway.admin.ui.html_format import time_column
from gateway.admin.ui.list_filters import requests_url
from gateway.admin.ui.sanitize import inert
from gateway.history.disk_need import PROPOSED_DAYS, DiskNeed, disk_need
from gateway.history.retention import MOST_COUNTED, preview
from gateway.masking.kinds import BUILT_IN
from gateway.models import ContentRead, LegalHold, PurgeRun, Retention, SecretPattern


@admin.register(Retention)
class RetentionAdmin(GatewayModelAdmin):
    """A single record: the page of the list is its form."""

    change_form_template = "admin/gateway/retention/change_form.html"
    fields = ("body_days", "row_days", "total_days")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[Retention.ROW]))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Before the first save there is no row, and viewing the page creates none."""
        found = super().get_object(request, object_id, from_field)
        if found is None and object_id == str(Retention.ROW):
            return Retention(pk=Retention.ROW, body_days=PROPOSED_DAYS)
        return found

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        found = preview(timezone.now())
        decided = Retention.objects.filter(pk=Retention.ROW).exists()
        need = disk_need(timezone.now())
        context = {
            "show_save_and_continue": False,
            "proposed": None if decided else PROPOSED_DAYS,
            "disk": _disk(need, Retention.current().body_days),
            "next_purge": [
                (_("Contents of requests"), _shown(found.bodies)),
                (_("Requests"), _shown(found.rows)),
                (_("Hourly totals"), _shown(found.totals)),
                (_("Contents kept by a legal hold"), _shown(found.held)),
            ],
            "runs": PurgeRun.objects.all()[:10],
            **(extra_context or {}),
        }
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response


def _disk(need: DiskNeed, body_days: int | None) -> list[tuple[Any, str]]:
    """The forecast, line by line."""
    lines: list[tuple[Any, str]] = [(_("The database now"), filesizeformat(need.size))]
    if need.oldest is not None:
        lines.append((_("Oldest contents"), date_format(localtime(need.oldest), "DATETIME_FORMAT")))
    if need.age:
        lines += [
            (_("A day, on average"), filesizeformat(round(need.per_day))),
            (_("In 30 days, with the days above"), filesizeformat(need.in_a_month(body_days))),
        ]
        if body_days is None:
            text = _("In 30 days, with contents of %(days)d days")
            lines.append((text % {"days": PROPOSED_DAYS}, filesizeformat(need.in_a_month(PROPOSED_DAYS))))
    return lines


def _shown(number: int) -> str:
    return f"> {MOST_COUNTED:,}" if number > MOST_COUNTED else f"{number:,}"


# what was read: a tab of the request's page, or something made from it
_PARTS: Final = {
    "excerpt": _("words around what was searched for"),
    **{name: tab.title for name, tab in TABS.items()},
    "replay": _("Replay and compare"),
    "fixture": _("Save as a case"),
    "evaluation": _("Evaluation"),
    "dataset": _("Dataset"),
    "person": _("Export of a person"),
}


@admin.register(LegalHold)
class LegalHoldAdmin(GatewayModelAdmin):
    list_display = ("__str__", "client_key", "session_id", "reason", time_column("created", _("since")))
    list_select_related = ("client_key",)
    fields = ("client_key", "session_id", "reason")
    search_fields = ("session_id", "reason")
    empty_state = EmptyState(
        _("Nothing is held"),
        _("A legal hold keeps the content of a client key's requests, or of one session, from every purge."),
    )


def _masked_anyway() -> str:
    """Evaluated with each view, because it is in the reader's language."""
    names = ", ".join(dict.fromkeys(pattern.name for pattern in BUILT_IN))
    return str(_("Always masked in stored texts: %(names)s.") % {"names": names})


@admin.register(SecretPattern)
class SecretPatternAdmin(GatewayModelAdmin):
    list_display = ("name", "pattern", "literal", "enabled")
    list_filter = ("enabled",)
    fieldsets = (
        (
            None,
            {
                "fields": ("name", "pattern", "literal", "enabled"),
                "description": lazy(_masked_anyway, str)(),
            },
        ),
    )
    empty_state = EmptyState(
        _("Only the built-in patterns apply"),
        _("Keys and tokens of well-known services are masked anyway. Add a pattern for secrets of your own."),
    )


@admin.register(ContentRead)
class ContentReadAdmin(ReadOnlyAdmin):
    list_display = (time_column("at", _("when")), "user_name", "part_shown", "request_shown")
    list_display_links = None
    list_filter = ("user_name", "part", "at")
    search_fields = ("=request_id", "=user_name")
    date_hierarchy = None
    show_full_result_count = False
    empty_state = EmptyState(
        _("No content has been read yet"),
        _("Each time somebody opens the content of a request or exports it, it is noted here."),
    )

    @admin.display(description=_("what"), ordering="part")
    def part_shown(self, read: ContentRead) -> str:
        part, of_a_file, _rest = read.part.partition(" (file)")
        title = str(_PARTS.get(part, part))
        return _("%(part)s, as a file") % {"part": title} if of_a_file else title

    @admin.display(description=_("request id"), ordering="request_id")
    def request_shown(self, read: ContentRead) -> str:
        """The request id, linked to a search for it, since the request may be gone."""
        address = requests_url({"q": read.request_id})
        return format_html('<a class="gw-link gw-mono" href="{}">{}</a>', address, inert(read.request_id))
