"""Retention, legal holds, secret patterns, and who read what."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from gateway.admin.base import EmptyState, GatewayModelAdmin, ReadOnlyAdmin
from gateway.audit.retention import MOST_COUNTED, preview
from gateway.audit.secret_patterns import BUILT_IN
from gateway.models import ContentRead, LegalHold, PurgeRun, Retention, SecretPattern


@admin.register(Retention)
class RetentionAdmin(GatewayModelAdmin):
    """One record: its list is its form."""

    change_form_template = "admin/gateway/retention/change_form.html"
    fields = ("body_days", "row_days", "total_days")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        Retention.objects.get_or_create(pk=Retention.ROW)
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[Retention.ROW]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        found = preview(timezone.now())
        context = {
            "show_save_and_continue": False,
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


def _shown(number: int) -> str:
    return f"> {MOST_COUNTED:,}" if number > MOST_COUNTED else f"{number:,}"


@admin.register(LegalHold)
class LegalHoldAdmin(GatewayModelAdmin):
    list_display = ("__str__", "client_key", "session_id", "reason", "created")
    list_select_related = ("client_key",)
    fields = ("client_key", "session_id", "reason")
    search_fields = ("session_id", "reason")
    empty_state = EmptyState(
        _("Nothing is held"),
        _("A legal hold keeps the content of a client key's requests, or of one session, from every purge."),
        (("admin:gateway_legalhold_add", _("Add a legal hold")),),
    )


def _masked_anyway() -> str:
    """In the language of whoever looks, so when they look."""
    names = ", ".join(dict.fromkeys(pattern.name for pattern in BUILT_IN))
    return str(_("Masked in every stored text anyway: %(names)s.") % {"names": names})


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
        _("Only the built-in patterns are in force"),
        _("Keys and tokens of well-known services are masked anyway. Add a pattern for secrets of your own."),
        (("admin:gateway_secretpattern_add", _("Add a pattern")),),
    )


@admin.register(ContentRead)
class ContentReadAdmin(ReadOnlyAdmin):
    list_display = ("at", "user_name", "part", "request_id")
    list_filter = ("user_name", "part", "at")
    search_fields = ("=request_id", "=user_name")
    date_hierarchy = None
    show_full_result_count = False
    empty_state = EmptyState(
        _("Nobody has read content yet"),
        _("Each time somebody opens the content of a request or exports it, it is noted here."),
    )
