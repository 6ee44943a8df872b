"""Where a mapping leads, on its page: targets in the order in which they are tried."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest

from gateway.admin.ui.base import StackedInline, TabularInline
from gateway.models import MappingTarget, ModelMapping, Shadow


class TargetFormSet(BaseInlineFormSet):
    """Each target is checked against the pattern that is being saved, not the stored one."""

    def clean(self) -> None:
        super().clean()
        pattern = getattr(self.instance, "pattern", "") or ""
        for form in self.forms:
            if form.cleaned_data.get("upstream_model") and not form.cleaned_data.get("DELETE"):
                try:
                    form.instance.check_pattern(pattern)
                except ValidationError as problem:
                    form.add_error(None, ValidationError(problem.message_dict["upstream_model"]))


class TargetInline(TabularInline):
    """A mapping without a target leads nowhere, so the first one is asked for."""

    model = MappingTarget
    formset = TargetFormSet
    fields = ("position", "provider", "upstream_model", "model_family", "weight", "enabled")
    # dragged, or typed: without a mouse the numbers are the way
    ordering_field = "position"
    extra = 0

    def get_min_num(self, request: HttpRequest, obj: ModelMapping | None = None, **_: Any) -> int:
        return 1


class ShadowInline(StackedInline):
    """The shadow of a mapping; whose contents go there is released by those who may."""

    model = Shadow
    fields = ("provider", "upstream_model", "share", "daily_cap", "concurrency", "enabled", "released")
    extra = 0
    max_num = 1

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        may = all(request.user.has_perm(right) for right in Shadow.field_rights.values())
        return () if may else tuple(Shadow.field_rights)
