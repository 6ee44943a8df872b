"""The numbers of sessions, worked out from their rows."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Count, F, Max, Min, Q, QuerySet, Sum

from gateway.models import RequestLog, SessionTotal

COUNTED: Final = ("messages",)
FAILED: Final = ("error", "broken", "interrupted")

_NUMBERS: Final[dict[str, Any]] = {
    "first_at": Min("started_at"),
    "last_at": Max("started_at"),
    "requests": Count("pk"),
    "failed": Count("pk", filter=Q(state__in=FAILED)),
    "retries": Sum(F("attempts") - 1, filter=Q(attempts__gt=1)),
    "agents": Count("agent_id", filter=~Q(agent_id=""), distinct=True),
    "input_tokens": Sum("input_tokens"),
    "output_tokens": Sum("output_tokens"),
    "cache_read_tokens": Sum("cache_read_tokens"),
    "cache_write_tokens": Sum("cache_write_tokens"),
    "cost": Sum("cost"),
    "tool_count": Sum("tool_count"),
    "busy_ms": Sum("duration_ms"),
}


def sums(rows: QuerySet[RequestLog]) -> dict[str, Any]:
    """The numbers of SessionTotal over these rows, by name, and how many are `unpriced`; unknown tokens count
    as 0. Without rows `first_at` and `last_at` are 0 too. One query."""
    numbers = rows.order_by().aggregate(unpriced=Count("pk", filter=Q(cost=None)), **_NUMBERS)
    return {name: value if name == "cost" else value or 0 for name, value in numbers.items()}


def work_out(session_id: str) -> None:
    """Write the totals of one session anew; rows that are still open count as requests already."""
    rows = RequestLog.objects.filter(session_id=session_id, endpoint__in=COUNTED)
    numbers = sums(rows)
    if not numbers["requests"]:
        return
    del numbers["unpriced"]
    [latest] = rows.order_by("-started_at").values("client_key_id", "key_name", "client")[:1]
    SessionTotal.objects.update_or_create(session_id=session_id, defaults={**numbers, **latest})
