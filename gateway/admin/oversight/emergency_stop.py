"""The page of the emergency stop: one form, whose changes are logged and can be undone."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from gateway.admin.ui.base import GatewayModelAdmin
from gateway.models import EmergencyStop


@admin.register(EmergencyStop)
class EmergencyStopAdmin(GatewayModelAdmin):
    fields = ("engaged", "reason")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[EmergencyStop.ROW]))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Before the first save there is no row, and viewing the page creates none."""
        found = super().get_object(request, object_id, from_field)
        if found is None and object_id == str(EmergencyStop.ROW):
            return EmergencyStop(pk=EmergencyStop.ROW)
        return found

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = {"show_save_and_continue": False, **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response
