"""Names that clients send and this version does not know, the first sign of a changed protocol."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui.base import EmptyState, ReadOnlyAdmin
from gateway.admin.ui.html_format import code, time_column
from gateway.admin.ui.list_filters import requests_url
from gateway.admin.ui.sanitize import inert
from gateway.models import ClientNovelty


@admin.register(ClientNovelty)
class ClientNoveltyAdmin(ReadOnlyAdmin):
    list_display = (
        "version_shown", "kind", "name_shown", time_column("first_at", _("first seen")), "request_shown",
    )  # fmt: skip
    list_display_links = None
    list_filter = ("kind",)
    search_fields = ("version", "name")
    empty_state = EmptyState(
        _("Nothing new"),
        _("Every beta, field and class that clients have sent is known to this version of the gateway."),
    )

    @admin.display(description=_("client version"), ordering="version")
    def version_shown(self, record: ClientNovelty) -> str:
        return inert(record.version) or "–"

    @admin.display(description=_("name"), ordering="name")
    def name_shown(self, record: ClientNovelty) -> str:
        return code(inert(record.name))

    @admin.display(description=_("first request"))
    def request_shown(self, record: ClientNovelty) -> str:
        address = requests_url({"q": record.request_id})
        return format_html('<a class="gw-id" href="{}">{}</a>', address, record.request_id)
