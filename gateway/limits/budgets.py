"""How far the budgets of a client key are used up, for people; from the history's totals."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal

from gateway.limits.meters import SPEND, TOKENS, Subject
from gateway.limits.spent import BILLION, spent
from gateway.limits.windows import Period
from gateway.models import ClientKey


@dataclass(frozen=True, slots=True)
class Budget:
    """`unit` is meters.SPEND (US dollars) or meters.TOKENS; what was used since `period` began."""

    unit: str
    used: Decimal
    limit: Decimal
    period: Period

    @property
    def share(self) -> float:
        """1.0 = all of it; a budget of nothing is used up."""
        return float(self.used / self.limit) if self.limit else 1.0


def budgets_of(record: ClientKey, now: float | None = None) -> list[Budget]:
    """The budgets of a key in the present period; empty without any. One query."""
    limits = {SPEND: record.spend_budget, TOKENS: record.token_budget}
    if all(limit is None for limit in limits.values()):
        return []
    period = Period.at(record.budget_period, time.time() if now is None else now)
    used = spent(Subject("key", record.lineage or record.pk), period)
    amounts = {SPEND: Decimal(used[SPEND]) / BILLION, TOKENS: Decimal(used[TOKENS])}
    return [
        Budget(unit, amounts[unit], Decimal(limit), period)
        for unit, limit in limits.items()
        if limit is not None
    ]
