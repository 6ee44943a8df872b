"""Limits set for several client keys at once: new ones from a list, or chosen ones."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gateway.admin.ui.base import GatewayModelAdmin, IntegerInput, Select, TextInput
from gateway.admin.ui.sanitize import inert
from gateway.config.changes import together
from gateway.models import ClientKey, Origin
from gateway.models.configuration.client_key import BudgetPeriod

LIMITS: Final = (
    "requests_per_minute", "concurrent_requests", "input_tokens_per_minute", "output_tokens_per_minute",
    "spend_budget", "token_budget",
)  # fmt: skip
# how pages lay them out, with the period of budgets
LIMIT_ROWS: Final = (
    ("requests_per_minute", "concurrent_requests"),
    ("input_tokens_per_minute", "output_tokens_per_minute"),
    ("budget_period", "spend_budget", "token_budget"),
)
_WIDGETS: Final = {name: IntegerInput for name in LIMITS if name != "spend_budget"}
_MOST_NAMED: Final = 40


def limit_fields() -> dict[str, forms.Field]:
    """A field for each limit, none of them required, and one for the period of budgets."""
    fields: dict[str, Any] = forms.fields_for_model(
        ClientKey, LIMITS, widgets={**_WIDGETS, "spend_budget": TextInput}
    )
    for name, field in fields.items():
        # Django runs these checks for records only, and these forms have none
        known: Any = ClientKey._meta.get_field(name)
        field.validators = [*field.validators, *known.validators]
    period = forms.ChoiceField(
        label=gettext_lazy("Budget period"), required=False, choices=BudgetPeriod.choices, widget=Select
    )
    return {**fields, "budget_period": period}


class ChangedLimitsForm(forms.Form):
    """An empty field leaves each key's limit as it is; `no-NAME` removes the limit."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, field in limit_fields().items():
            self.fields[name] = field
            if name == "budget_period":
                field.choices = [("", gettext_lazy("as it is")), *BudgetPeriod.choices]  # type: ignore[attr-defined]
            else:
                field.initial = None
                label = gettext_lazy("no limit")
                self.fields[f"no-{name}"] = forms.BooleanField(label=label, required=False)

    def rows(self) -> list[tuple[Any, Any]]:
        """Each limit with the checkbox that removes it."""
        return [(self[name], self[f"no-{name}"]) for name in LIMITS]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in LIMITS:
            if cleaned.get(name) is not None and cleaned.get(f"no-{name}"):
                self.add_error(name, _("Either a number or no limit."))
        if not self.errors and not self.changes():
            raise forms.ValidationError(_("Nothing was changed: enter a limit, or remove one."))
        return cleaned

    def changes(self) -> dict[str, Any]:
        """The fields of ClientKey to set."""
        given = self.cleaned_data
        found = {name: given.get(name) for name in LIMITS if given.get(name) is not None}
        found |= {name: None for name in LIMITS if given.get(f"no-{name}")}
        return {**found, **({"budget_period": given["budget_period"]} if given.get("budget_period") else {})}


class KeyLimitPages(GatewayModelAdmin):
    """Part of the pages of client keys: the action of the list, and its form."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.limits_view)
        return [path("limits/", view, name="gateway_clientkey_limits"), *super().get_urls()]

    @admin.action(description=gettext_lazy("Set limits of the selected client keys"), permissions=["change"])
    def set_limits(self, request: HttpRequest, queryset: QuerySet[ClientKey]) -> HttpResponse:
        return self._form(request, queryset, ChangedLimitsForm())

    def limits_view(self, request: HttpRequest) -> HttpResponse:
        """POST only: set the limits of the keys named by `keys`."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        address = reverse(self.page_name("changelist"))
        if request.method != "POST":
            return HttpResponseRedirect(address)
        # one field, because a form has no more than DATA_UPLOAD_MAX_NUMBER_FIELDS
        named = request.POST.get("keys", "").split(",")
        pks = [int(pk) for pk in named if pk.isascii() and pk.isdigit() and len(pk) < 19]
        keys = self.get_queryset(request).filter(pk__in=pks)
        form = ChangedLimitsForm(request.POST)
        if not form.is_valid():
            return self._form(request, keys, form)
        chosen = list(keys.exclude(origin=Origin.ENVIRONMENT).values_list("pk", flat=True))
        with transaction.atomic(), together(ClientKey, _("Limits of client keys")):
            ClientKey.objects.filter(pk__in=chosen).update(**form.changes())
        text = ngettext(
            "The limits of %(count)d key are set. They hold from the next request on.",
            "The limits of %(count)d keys are set. They hold from the next request on.",
            len(chosen),
        )
        self.message_user(request, text % {"count": len(chosen)}, messages.SUCCESS)
        return HttpResponseRedirect(address)

    def _form(
        self, request: HttpRequest, keys: QuerySet[ClientKey], form: ChangedLimitsForm
    ) -> TemplateResponse:
        changeable = [key for key in keys if key.origin != Origin.ENVIRONMENT]
        context = self.page_context(
            request,
            _("Set limits"),
            form=form,
            number=len(changeable),
            keys=",".join(str(key.pk) for key in changeable),
            names=[inert(key.name) for key in changeable[:_MOST_NAMED]],
            more=max(0, len(changeable) - _MOST_NAMED),
        )
        return TemplateResponse(request, "admin/gateway/clientkey/limits.html", context)
