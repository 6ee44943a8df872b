"""The budgets of client keys in one chart, the fullest first."""

from __future__ import annotations

from typing import Final

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from gateway.admin.keys.key_usage import in_words
from gateway.admin.ui.charts import Chart, ChartCell, ChartColumn, Series
from gateway.admin.ui.sanitize import inert
from gateway.limits.spent import Budget, budgets_of_keys
from gateway.models import ClientKey
from gateway.watch.attention import NEARLY

MOST: Final = 40


def budgets() -> Chart | None:
    """The share of its budget that each key has used in this period; None if no key has a budget."""
    limited = ~Q(spend_budget=None) | ~Q(token_budget=None)
    keys = {key.pk: key for key in ClientKey.objects.filter(limited, revoked_at=None)}
    found = [
        (budget, keys[pk]) for pk, each in budgets_of_keys(list(keys.values())).items() for budget in each
    ]
    fullest = sorted(found, key=lambda one: (-one[0].share, one[1].name))[:MOST]
    if not fullest:
        return None
    columns = [
        ChartColumn(inert(key.name), reverse("admin:gateway_clientkey_change", args=[key.pk]))
        for _budget, key in fullest
    ]
    used = [budget for budget, _key in fullest]
    # a bar belongs to one of two series, one for each colour, and is empty in the other
    series = [
        Series(_("below %d %%") % (100 * NEARLY), [_cell(one, one.share < NEARLY) for one in used]),
        Series(
            _("%d %% or more") % (100 * NEARLY),
            [_cell(one, one.share >= NEARLY) for one in used],
            colour="bad",
        ),
    ]
    return Chart(_("Budgets of client keys"), columns, series, "percent", across=True)


def _cell(budget: Budget, counts: bool) -> ChartCell:
    if not counts:
        return ChartCell(None, "")
    percent = round(100 * budget.share, 1)
    facts = {
        "percent": percent,
        "used": in_words(budget, budget.used),
        "limit": in_words(budget, budget.limit),
    }
    return ChartCell(percent, _("%(percent)s %%: %(used)s of %(limit)s") % facts)
