"""Filters of the history that read no distinct values from the big table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from gateway.models import Provider

STOP_REASONS = (
    "end_turn",
    "tool_use",
    "max_tokens",
    "stop_sequence",
    "refusal",
    "pause_turn",
    "model_context_window_exceeded",
)


class _FieldFilter(admin.SimpleListFilter):
    """One value of one field."""

    field: ClassVar[str]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{self.field: value}) if value else queryset


class ProviderFilter(_FieldFilter):
    """The providers that are configured now; ?provider=SLUG in the address finds an older one too."""

    title = "provider"
    parameter_name = field = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return list(Provider.objects.order_by("name").values_list("slug", "name"))

    def has_output(self) -> bool:
        return True


class StopReasonFilter(_FieldFilter):
    title = "stop reason"
    parameter_name = field = "stop_reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(reason, reason) for reason in STOP_REASONS]
