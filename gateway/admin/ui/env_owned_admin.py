"""Pages of records that the environment may own."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from gateway.admin.ui.base import GatewayModelAdmin
from gateway.models import ConfigRecord, Origin
from gateway.security.encryption import EncryptionError


class OwnedRecordAdmin(GatewayModelAdmin):
    """Records that the environment may own: read-only, with a remark, until an admin takes one over.

    A subclass implements `take_over`, and gives in `remarks` the text on the page of a record of each origin.
    """

    remarks: ClassVar[dict[str, str | Promise]] = {}

    def take_over(self, record: Any) -> str:
        """Take a record over; returns a message. Raises EncryptionError."""
        raise NotImplementedError

    def has_change_permission(self, request: HttpRequest, obj: ConfigRecord | None = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_environment(obj)

    def has_delete_permission(self, request: HttpRequest, obj: ConfigRecord | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_environment(obj)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.take_over_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_take_over"
        return [path("<int:pk>/take-over/", view, name=name), *super().get_urls()]

    def take_over_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST only: the button on the page of a record that the environment owns."""
        record = self.get_object(request, str(pk))
        if request.method == "POST" and record is not None and self._may_take_over(request, record):
            try:
                self.message_user(request, self.take_over(record), messages.SUCCESS)
                self.log_change(request, record, _("Taken over from the environment."))
            except EncryptionError as problem:
                self.message_user(request, str(problem), messages.ERROR)
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[pk]))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        obj = options.get("obj")
        if obj is not None:
            context["remark"] = self.remarks.get(obj.origin, "")
            if self._may_take_over(request, obj):
                context["take_over_url"] = reverse(self.page_name("take_over"), args=[obj.pk])
        return super().render_change_form(request, context, *args, **options)

    def _may_take_over(self, request: HttpRequest, record: Any) -> bool:
        return _is_environment(record) and super().has_change_permission(request, record)


def _is_environment(obj: Any) -> bool:
    return obj is not None and obj.origin == Origin.ENVIRONMENT
