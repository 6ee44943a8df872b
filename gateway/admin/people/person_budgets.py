"""Budgets of people, across their keys and sign-ins."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui.base import EmptyState, GatewayModelAdmin
from gateway.admin.ui.html_format import NOTHING, dollars, number
from gateway.limits.meters import SPEND
from gateway.limits.spent import budgets_of_person
from gateway.models import PersonBudget


@admin.register(PersonBudget)
class PersonBudgetAdmin(GatewayModelAdmin):
    list_display = ("user", "budget_period", "spend_budget", "token_budget", "used")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    fields = ("user", "budget_period", "spend_budget", "token_budget", "used", "corrected")
    readonly_fields = ("used", "corrected")
    autocomplete_fields = ("user",)
    empty_state = EmptyState(
        _("No budgets yet"),
        _("A budget holds for a person, over all keys and sign-ins, beside the limits of each key."),
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
