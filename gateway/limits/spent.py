"""What a key used in a period, from the history: the beginning of a budget's counter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db import Error
from django.db.models import Sum

from gateway.limits.meters import SPEND, TOKENS
from gateway.limits.stores import StoreUnavailable
from gateway.limits.windows import Period
from gateway.models import RequestLog

BILLION: Final = 1_000_000_000


def spent(key_id: int, period: Period) -> Mapping[str, int]:
    """{"spend": billionths of a dollar, "tokens": all tokens}. Raises StoreUnavailable."""
    rows = RequestLog.objects.filter(
        client_key_id=key_id, started_at__gte=period.start, started_at__lt=period.end
    )
    try:
        sums = rows.aggregate(
            cost=Sum("cost"),
            input=Sum("input_tokens"),
            output=Sum("output_tokens"),
            read=Sum("cache_read_tokens"),
            written=Sum("cache_write_tokens"),
        )
    except Error as problem:
        raise StoreUnavailable(str(problem)) from problem
    tokens = sum(sums[name] or 0 for name in ("input", "output", "read", "written"))
    return {SPEND: int((sums["cost"] or 0) * BILLION), TOKENS: tokens}
