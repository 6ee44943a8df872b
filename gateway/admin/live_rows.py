"""The rows with which the live tail begins."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import QuerySet

from gateway.audit.tail import FACTS, Row

MOST_ROWS: Final = 200


def live_rows(rows: QuerySet[Any]) -> list[Row]:
    """The newest rows, oldest first, in the form of audit/tail.py."""
    names = [*FACTS, "started_at", "ledger_count", "pk"]
    found = list(rows.order_by("-started_at", "-pk").values(*names)[:MOST_ROWS])
    return [{**row, "started_at": row["started_at"].isoformat()} for row in reversed(found)]
