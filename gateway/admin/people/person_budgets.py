"""Limits of people, across their keys and sign-ins."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from gateway.admin.keys.key_limits import LIMIT_ROWS
from gateway.admin.ui.base import EmptyState, GatewayModelAdmin
from gateway.admin.ui.fields import LinesField
from gateway.admin.ui.html_format import NOTHING, dollars, number
from gateway.limits.meters import SPEND
from gateway.limits.spent import budgets_of_person
from gateway.models import PersonBudget


class PersonBudgetForm(forms.ModelForm):
    allowed_models = LinesField(
        label=_("Allowed models"),
        required=False,
        help_text=_("One a line: names or patterns with * of the models they may ask for. Empty: all."),
    )

    class Meta:
        model = PersonBudget
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets choose


@admin.register(PersonBudget)
class PersonBudgetAdmin(GatewayModelAdmin):
    form = PersonBudgetForm
    list_display = ("user", "budget_period", "spend_budget", "token_budget", "used", "requests_per_minute")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    fieldsets = (
        (None, {"fields": ("user", "allowed_models")}),
        (
            _("Limits"),
            {"fields": LIMIT_ROWS, "description": _("Empty: no limit. They hold from the next request on.")},
        ),
        (_("Facts"), {"fields": ("used", "corrected")}),
    )
    readonly_fields = ("used", "corrected")
    autocomplete_fields = ("user",)
    empty_state = EmptyState(
        _("No limits of people yet"),
        _("Limits of a person hold over all keys and sign-ins, beside the limits of each key."),
    )

    @admin.display(description=_("used"))
    def used(self, record: PersonBudget) -> str:
        found = budgets_of_person(record) if record.pk else []
        said = [
            (dollars(one.used) if one.unit == SPEND else number(one.used), round(100 * one.share))
            for one in found
        ]
        return format_html_join(", ", "{} ({} %)", said) or NOTHING

    @admin.display(description=_("booked by hand"))
    def corrected(self, record: PersonBudget) -> str:
        return dollars(record.correction / 1_000_000_000) if record.correction else NOTHING
