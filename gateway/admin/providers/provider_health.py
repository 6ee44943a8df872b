"""What is set aside of a provider, and the button that brings it back."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.ui.base import GatewayModelAdmin
from gateway.config.explain.explanation import refused, set_aside
from gateway.models import Provider


class BringBackAdmin(GatewayModelAdmin):
    """Part of the provider's pages; also for records of the environment, which it does not change."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.bring_back_view)
        return [path("<int:pk>/bring-back/", view, name="gateway_provider_bring_back"), *super().get_urls()]

    def bring_back_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST only: bring back everything that is set aside."""
        record = self.get_object(request, str(pk))
        if request.method == "POST" and record is not None and self._may_bring_back(request):
            self._bring_back(request, record)
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[pk]))

    @admin.action(description=gettext_lazy("Bring back what is set aside"), permissions=["bring_back"])
    def bring_back(self, request: HttpRequest, queryset: QuerySet[Provider]) -> None:
        for record in queryset:
            self._bring_back(request, record)

    def has_bring_back_permission(self, request: HttpRequest) -> bool:
        return self._may_bring_back(request)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        record = options.get("obj")
        if record is not None:
            context["set_aside"] = [*refused(record.credentials.all()), *set_aside(record.slug)]
            if context["set_aside"] and self._may_bring_back(request):
                context["bring_back_url"] = reverse(self.page_name("bring_back"), args=[record.pk])
        return super().render_change_form(request, context, *args, **options)

    def _bring_back(self, request: HttpRequest, record: Provider) -> None:
        record.bring_back()
        self.log_change(request, record, _("Brought back."))
        text = _("Everything of %(name)s is used again, in every process within a second.")
        self.message_user(request, text % {"name": record.name}, messages.SUCCESS)

    @staticmethod
    def _may_bring_back(request: HttpRequest) -> bool:
        return request.user.has_perm("gateway.change_provider")
