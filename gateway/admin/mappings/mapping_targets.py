"""The targets on a mapping's page, in the order in which they are tried."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest

from gateway.admin.ui.base import StackedInline, TabularInline
from gateway.models import MappingTarget, ModelMapping, Shadow


class TargetFormSet(BaseInlineFormSet):
    """Checks each target against the pattern being saved, not the stored one."""

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
    """The targets; the first is required, because a mapping without one leads nowhere."""

    model = MappingTarget
    formset = TargetFormSet
    fields = ("position", "provider", "upstream_model", "model_family", "weight", "enabled")
    # rows can be dragged, or the numbers typed without a mouse
    ordering_field = "position"
    extra = 0

    def get_min_num(self, request: HttpRequest, obj: ModelMapping | None = None, **_: Any) -> int:
        return 1


class ShadowFormSet(BaseInlineFormSet):
    """A release is one to a provider: who may not release cannot lead the released contents elsewhere."""

    # set by ShadowInline.get_formset
    may_release: bool = False

    def save_existing(self, form: Any, obj: Shadow, commit: bool = True) -> Any:
        if "provider" in form.changed_data and not self.may_release:
            form.instance.released = False
        return super().save_existing(form, obj, commit)


class ShadowInline(StackedInline):
    """The shadow of a mapping. Releasing contents to it takes a right of its own."""

    model = Shadow
    formset = ShadowFormSet
    fields = ("provider", "upstream_model", "share", "daily_cap", "concurrency", "enabled", "released")
    extra = 0
    max_num = 1

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if _may_release(request) else tuple(Shadow.field_rights)

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        made = super().get_formset(request, obj, **kwargs)
        return type(made.__name__, (made,), {"may_release": _may_release(request)})


def _may_release(request: HttpRequest) -> bool:
    return all(request.user.has_perm(right) for right in Shadow.field_rights.values())
