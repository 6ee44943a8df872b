"""What the history knows of a subject: what it spent in a period, and which requests are counted in that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from django.db import Error, connection
from django.db.models import Q, Sum

from gateway.limits.meters import SPEND, TOKENS, Subject
from gateway.limits.stores import StoreUnavailable
from gateway.limits.windows import Period
from gateway.models import ClientKey, DailyTotal, RequestLog
from gateway.models.history.hourly_total import COST_UNIT

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

    A key's budget is that of the whole line of keys that it was rotated from and to.
    """
    first, behind = (int(moment.timestamp()) // 3600 for moment in (period.start, period.end))
    keys = ClientKey.objects.order_by().filter(Q(pk=subject.id) | Q(lineage=subject.id)).values("pk")
    days = DailyTotal.objects.filter(
        Q(client_key_pk__in=keys) | Q(client_key_pk=subject.id),
        hour__gte=first, hour__lt=behind, endpoint="messages",
    )  # fmt: skip
    sums = days.aggregate(cost=Sum("cost_units"), **{name: Sum(name) for name in _TOKENS})
    return {SPEND: (sums["cost"] or 0) // _UNITS, TOKENS: sum(sums[name] or 0 for name in _TOKENS)}
