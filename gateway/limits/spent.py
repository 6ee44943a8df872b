"""What the history knows of a budget: what a subject spent in a period, for the limiter and for people."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.db import Error, connection
from django.db.models import Q, Sum

from gateway.limits.meters import (
    PERSON,
    SPEND,
    TOKENS,
    BudgetShare,
    CounterStanding,
    Subject,
    fullest,
    meters_of_key,
)
from gateway.limits.stores import StoreUnavailable
from gateway.limits.windows import Period
from gateway.models import ClientKey, DailyTotal, FormerUse, PersonBudget, RequestLog
from gateway.models.history.hourly_total import COST_UNIT
from gateway.routing.snapshot import KeyEntry

_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
# budgets are counted in billionths of a dollar
BILLION: Final = 1_000_000_000
_UNITS: Final = int(1 / (COST_UNIT * BILLION))
# values in one IN (...)
_AT_ONCE: Final = 500


class History:
    """The database's history, as the limiter asks it: in a thread that keeps its connection."""

    def spent(self, subject: Subject, period: Period) -> Mapping[str, int]:
        """{"spend": billionths of a dollar, "tokens": all tokens}. Raises StoreUnavailable."""
        try:
            return spent(subject, period)
        except Error as problem:
            connection.close()
            raise StoreUnavailable(str(problem)) from problem

    def ended(self, requests: Sequence[str]) -> set[str]:
        """Those of the requests whose end the totals count. Raises StoreUnavailable."""
        found: set[str] = set()
        try:
            for start in range(0, len(requests), _AT_ONCE):
                some = requests[start : start + _AT_ONCE]
                rows = RequestLog.objects.order_by().filter(request_id__in=some).exclude(state="open")
                found.update(rows.values_list("request_id", flat=True))
        except Error as problem:
            connection.close()
            raise StoreUnavailable(str(problem)) from problem
        return found


def spent(subject: Subject, period: Period) -> Mapping[str, int]:
    """What `subject` used of its budgets in `period`, which begins with a day; `History.spent`.

    A key's budget is that of the whole line of keys that it was rotated from and to; a person's that of all
    keys and sign-ins while they were theirs, with what was booked by hand.
    """
    first, behind = (int(moment.timestamp()) // 3600 for moment in (period.start, period.end))
    of_person = subject.kind == PERSON
    theirs = Q(user_id=subject.id) if of_person else Q(pk=subject.id) | Q(lineage=subject.id)
    keys = ClientKey.objects.order_by().filter(theirs).values("pk")
    whose = Q(client_key_pk__in=keys)
    if not of_person:
        whose |= Q(client_key_pk=subject.id)
    days = DailyTotal.objects.filter(whose, hour__gte=first, hour__lt=behind, endpoint="messages")
    sums = days.aggregate(cost=Sum("cost_units"), **{name: Sum(name) for name in _TOKENS})
    units, tokens = sums["cost"] or 0, sum(sums[name] or 0 for name in _TOKENS)
    if of_person:
        of_days = FormerUse.objects.filter(hour__gte=first, hour__lt=behind)
        for rows, sign in ((Q(client_key_pk__in=keys), -1), (Q(owner_id=subject.id), 1)):
            former = of_days.filter(rows).aggregate(cost=Sum("cost_units"), tokens=Sum("tokens"))
            units, tokens = units + sign * (former["cost"] or 0), tokens + sign * (former["tokens"] or 0)
    booked = _booked(subject.id, period) if of_person else 0
    return {SPEND: max(0, units // _UNITS + booked), TOKENS: max(0, tokens)}


def fullest_budget(key: KeyEntry, now: float) -> BudgetShare | None:
    """The budget that the person with this key is told of, as the limiter tells it; None without any."""
    meters = [(meter, meter.window) for meter in meters_of_key(key, now) if isinstance(meter.window, Period)]
    asked = {(meter.subject, period) for meter, period in meters}
    used = {(subject, period): spent(subject, period) for subject, period in asked}
    standings = {
        meter.counter: CounterStanding(used=used[meter.subject, period][meter.unit])
        for meter, period in meters
    }
    return fullest((meter for meter, _ in meters), standings)


def _booked(person: int, period: Period) -> int:
    """Billionths of a dollar that were booked by hand in this period."""
    found = PersonBudget.objects.filter(user_id=person, corrected_period=period.start)
    return found.values_list("correction", flat=True).first() or 0


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


def budgets_of_person(record: PersonBudget, now: float | None = None) -> list[Budget]:
    """The budgets of a person in the present period; empty without any."""
    return _budgets(record, Subject(PERSON, record.user_id), now)


def budgets_of(record: ClientKey, now: float | None = None) -> list[Budget]:
    """The budgets of a key in the present period; empty without any. One query."""
    return _budgets(record, Subject("key", record.lineage or record.pk), now)


def budgets_of_keys(records: Sequence[ClientKey], now: float | None = None) -> dict[int, list[Budget]]:
    """`budgets_of` for many keys, by primary key, in four queries at most; without those that have none."""
    at = time.time() if now is None else now
    budgeted = [one for one in records if one.spend_budget is not None or one.token_budget is not None]
    if not budgeted:
        return {}
    lines = {one.lineage or one.pk for one in budgeted}
    members = ClientKey.objects.order_by().filter(Q(pk__in=lines) | Q(lineage__in=lines))
    line_of = {pk: lineage or pk for pk, lineage in members.values_list("pk", "lineage")}
    periods = {kind: Period.at(kind, at) for kind in {one.budget_period for one in budgeted}}
    used = {kind: _spent_of_lines(line_of, period) for kind, period in periods.items()}
    nothing = {SPEND: Decimal(0), TOKENS: Decimal(0)}
    return {
        one.pk: _limited(
            one, used[one.budget_period].get(one.lineage or one.pk, nothing), periods[one.budget_period]
        )
        for one in budgeted
    }


def _spent_of_lines(line_of: Mapping[int, int], period: Period) -> dict[int, dict[str, Decimal]]:
    """What each line of keys used in `period`: dollars and tokens."""
    first, behind = (int(moment.timestamp()) // 3600 for moment in (period.start, period.end))
    days = DailyTotal.objects.order_by().filter(
        client_key_pk__in=line_of, hour__gte=first, hour__lt=behind, endpoint="messages"
    )
    sums: Any = days.values("client_key_pk").annotate(
        cost=Sum("cost_units"), **{name: Sum(name) for name in _TOKENS}
    )
    found: dict[int, dict[str, Decimal]] = {}
    for row in sums:
        line = found.setdefault(line_of[row["client_key_pk"]], {SPEND: Decimal(0), TOKENS: Decimal(0)})
        line[SPEND] += Decimal((row["cost"] or 0) // _UNITS) / BILLION
        line[TOKENS] += sum(row[name] or 0 for name in _TOKENS)
    return found


def _budgets(record: ClientKey | PersonBudget, subject: Subject, now: float | None) -> list[Budget]:
    if record.spend_budget is None and record.token_budget is None:
        return []
    period = Period.at(record.budget_period, time.time() if now is None else now)
    used = spent(subject, period)
    return _limited(record, {SPEND: Decimal(used[SPEND]) / BILLION, TOKENS: Decimal(used[TOKENS])}, period)


def _limited(record: ClientKey | PersonBudget, used: Mapping[str, Decimal], period: Period) -> list[Budget]:
    limits = {SPEND: record.spend_budget, TOKENS: record.token_budget}
    return [
        Budget(unit, used[unit], Decimal(limit), period)
        for unit, limit in limits.items()
        if limit is not None
    ]
