"""Costs computed again, after a price was wrong or missing.

Rows are read in the order of their primary key and written in batches, each in its own transaction; an
interrupted run can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from gateway.history.caching import money
from gateway.history.outcome import OPEN
from gateway.history.outcomes import counting as outcomes
from gateway.history.totals import hourly, sessions
from gateway.history.totals.costs import cost_of
from gateway.models import RequestLog
from gateway.pricing.book import PriceBook
from gateway.pricing.price import ZERO

BATCH: Final = 500
_READ: Final = (
    "pk", "request_id", "state", "endpoint", "attempts", "provider", "upstream_model", "started_at",
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "service_tier",
    "cost", "price_source", "session_id",
)  # fmt: skip


@dataclass(slots=True)
class Recosted:
    """How many rows were examined and changed, how many have no price now, and the sums in US dollars.

    `kept`: rows of a provider that is no longer configured; their cost stays as it is.
    """

    looked_at: int = 0
    changed: int = 0
    unpriced: int = 0
    kept: int = 0
    before: Decimal = ZERO
    after: Decimal = ZERO


def between(
    since: datetime | None, until: datetime | None, *, model: str = "", provider: str = ""
) -> QuerySet[RequestLog]:
    """The ended exchanges that began from `since` until before `until`.

    `model` is an upstream model, or a prefix followed by `*`.
    """
    rows = RequestLog.objects.exclude(state=OPEN)
    if since is not None:
        rows = rows.filter(started_at__gte=since)
    if until is not None:
        rows = rows.filter(started_at__lt=until)
    if provider:
        rows = rows.filter(provider=provider)
    if model.endswith("*"):
        return rows.filter(upstream_model__istartswith=model[:-1])
    return rows.filter(upstream_model__iexact=model) if model else rows


def recompute(rows: QuerySet[RequestLog], prices: PriceBook, *, batch: int = BATCH) -> Recosted:
    """Give the rows, all totals of hours and of sessions, and the rows' cache misses what the price book says
    now."""
    told = Recosted()
    last = 0
    while True:
        with transaction.atomic():
            some = list(rows.filter(pk__gt=last).order_by("pk").only(*_READ)[:batch])
            if not some:
                return told
            last = some[-1].pk
            changed = [row for row in some if _recost(row, prices, told)]
            if changed:
                with hourly.following(row.request_id for row in changed):
                    RequestLog.objects.bulk_update(changed, ["cost", "price_source"])
                outcomes.count_again(row.request_id for row in changed)
                for session_id in sorted({row.session_id for row in changed if row.session_id}):
                    sessions.work_out(session_id)
            money.value_again(some, prices)
            told.changed += len(changed)


def _recost(row: RequestLog, prices: PriceBook, told: Recosted) -> bool:
    """Recompute one row. Whether it changed."""
    told.looked_at += 1
    told.before += row.cost or ZERO
    cost, source = cost_of(row, prices)
    if cost is None and row.cost is not None and row.provider not in prices.addresses:
        told.kept += 1
        told.after += row.cost
        return False
    told.unpriced += cost is None
    told.after += cost or ZERO
    if (cost, source) == (row.cost, row.price_source):
        return False
    row.cost, row.price_source = cost, source
    return True
