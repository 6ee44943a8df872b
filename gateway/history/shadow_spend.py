"""What the shadow of a mapping has cost, from the rows of its requests."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.db.models import Sum

from gateway.models import RequestLog
from gateway.models.history.request_log import Endpoint


def spent_on_shadows(mapping_pk: int, since: datetime) -> float:
    """US dollars of the shadow requests of a mapping that began at `since` or later.

    Runs in a thread of a pool, and leaves no connection behind. Raises what the database raises.
    """
    try:
        rows = RequestLog.objects.filter(
            endpoint=Endpoint.SHADOW, mapping_pk=mapping_pk, started_at__gte=since
        )
        return float(rows.order_by().aggregate(cost=Sum("cost"))["cost"] or 0)
    finally:
        if not connection.in_atomic_block:
            connection.close()
