"""What a key used in a period, from the history's totals: the beginning of a budget's counter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db import Error
from django.db.models import Sum

from gateway.limits.meters import SPEND, TOKENS
from gateway.limits.stores import StoreUnavailable
from gateway.limits.windows import Period
from gateway.models import HourlyTotal
from gateway.models.hourly_total import COST_UNIT

_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
# budgets are counted in billionths of a dollar
BILLION: Final = 1_000_000_000
_UNITS: Final = int(1 / (COST_UNIT * BILLION))


def spent(key_id: int, period: Period) -> Mapping[str, int]:
    """{"spend": billionths of a dollar, "tokens": all tokens}; a period begins with an hour.

    Raises StoreUnavailable.
    """
    first, behind = (int(moment.timestamp()) // 3600 for moment in (period.start, period.end))
    hours = HourlyTotal.objects.filter(
        client_key_pk=key_id, hour__gte=first, hour__lt=behind, endpoint="messages"
    )
    try:
        sums = hours.aggregate(cost=Sum("cost_units"), **{name: Sum(name) for name in _TOKENS})
    except Error as problem:
        raise StoreUnavailable(str(problem)) from problem
    return {SPEND: (sums["cost"] or 0) // _UNITS, TOKENS: sum(sums[name] or 0 for name in _TOKENS)}
