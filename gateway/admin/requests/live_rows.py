"""The rows that the live tail shows at first."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from gateway.history.live_tail import FACTS, Row
from gateway.models.history.request_log import State

MOST_ROWS: Final = 200


def live_rows(rows: QuerySet[Any]) -> list[Row]:
    """The newest rows, oldest first, in the form of history/live_tail.py."""
    names = [*FACTS, "started_at", "ledger_count", "pk"]
    found = list(rows.order_by("-started_at", "-pk").values(*names)[:MOST_ROWS])
    return [{**row, "started_at": row["started_at"].isoformat()} for row in reversed(found)]


def live_words() -> dict[str, Any]:
    """The words of the page's script in the reader's language: units, and states by stored name."""
    return {"ms": _("ms"), "s": _("s"), "states": {str(state): str(state.label) for state in State}}
