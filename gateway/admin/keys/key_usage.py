"""What client keys have used, from the hourly totals, so that the number of requests does not matter."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui.html_format import ago, dollars, number
from gateway.admin.ui.sanitize import inert
from gateway.limits.meters import SPEND
from gateway.limits.spent import Budget, budgets_of, budgets_of_person
from gateway.models import ClientKey, DailyTotal, HourlyTotal, PersonBudget
from gateway.models.history.hourly_total import COST_UNIT
from gateway.watch.attention import NEARLY

_HOUR: Final = 3600
_SUMMED: Final = ("requests", "input_tokens", "output_tokens", "cost_units", "unpriced")
_RATES: Final = (
    "requests_per_minute",
    "concurrent_requests",
    "input_tokens_per_minute",
    "output_tokens_per_minute",
)
_SPANS: Final = (
    (_("last 24 hours"), 24),
    (_("last 7 days"), 7 * 24),
    (_("last 30 days"), 30 * 24),
)


@dataclass(frozen=True)
class KeyUsage:
    """Sums of one span; `cost` in US dollars, `unpriced`: the number of requests without a known price."""

    title: Any
    requests: int
    input_tokens: int
    output_tokens: int
    cost: Decimal
    unpriced: int


def usage_of(record: ClientKey) -> list[KeyUsage]:
    """The usage of one key in each span up to now. One query."""
    return usage_of_keys([record.pk])[record.pk]


def usage_of_keys(pks: Iterable[int]) -> dict[int, list[KeyUsage]]:
    """The usage of several keys in each span up to now, by primary key. One query."""
    now = int(time.time()) // _HOUR
    firsts = [now - hours + 1 for _title, hours in _SPANS]
    sums = {
        f"{name}_{place}": Sum(name, filter=Q(hour__gte=first))
        for place, first in enumerate(firsts)
        for name in _SUMMED
    }
    wanted = list(pks)
    rows = HourlyTotal.objects.order_by().filter(client_key_pk__in=wanted, hour__gte=min(firsts))
    found = {row["client_key_pk"]: row for row in rows.values("client_key_pk").annotate(**sums)}
    return {
        pk: [_usage(title, found.get(pk, {}), place) for place, (title, _hours) in enumerate(_SPANS)]
        for pk in wanted
    }


def with_spent(keys: QuerySet[ClientKey]) -> QuerySet[ClientKey]:
    """The keys with what each cost in the last 30 days, in COST_UNITs (`spent`)."""
    first = int(time.time()) // _HOUR - 30 * 24
    days = DailyTotal.objects.order_by().filter(client_key_pk=OuterRef("pk"), hour__gte=first)
    sums = days.values("client_key_pk").annotate(units=Sum("cost_units")).values("units")
    return keys.annotate(spent=Coalesce(Subquery(sums), 0))


def in_words(budget: Budget, amount: Decimal) -> str:
    """An amount in the budget's unit, as plain text."""
    return f"${amount:,.2f}" if budget.unit == SPEND else f"{amount:,}"


def shown_budgets(record: ClientKey) -> list[dict[str, Any]]:
    """The budgets of a key in words for its page: used, limit, percent, whether little is left, end."""
    return _shown(budgets_of(record))


def shown_person_budgets(record: PersonBudget) -> list[dict[str, Any]]:
    """The same for the budgets of a person, over all keys and sign-ins."""
    return _shown(budgets_of_person(record))


def shown_person_limits(record: PersonBudget) -> list[str]:
    """The other limits of a person in words: `requests per minute: 60`."""
    rates = [(name, getattr(record, name)) for name in _RATES]
    said = [(name, f"{limit:,}") for name, limit in rates if limit is not None]
    if record.allowed_models:
        said.append(("allowed_models", ", ".join(map(str, record.allowed_models))))
    fields: Any = record._meta
    return [f"{fields.get_field(name).verbose_name}: {inert(value)}" for name, value in said]


def _shown(budgets: list[Budget]) -> list[dict[str, Any]]:
    return [
        {
            "used": _amount(budget, budget.used),
            "limit": _amount(budget, budget.limit),
            "percent": round(100 * budget.share),
            "nearly": budget.share >= NEARLY,
            "resets": ago(budget.period.end),
        }
        for budget in budgets
    ]


def _amount(budget: Budget, amount: Decimal) -> SafeString:
    return dollars(amount) if budget.unit == SPEND else number(amount, _("tokens"))


def _usage(title: Any, sums: Mapping[str, Any], place: int) -> KeyUsage:
    found = {name: int(sums.get(f"{name}_{place}") or 0) for name in _SUMMED}
    cost = found.pop("cost_units") * COST_UNIT
    return KeyUsage(title=title, cost=cost, **found)
