"""Rows of the history as CSV and JSONL, read page by page, so that any number can be exported."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.db.models import Q, QuerySet

from gateway.admin.ui.html_format import plain
from gateway.history.csv_text import csv_text
from gateway.wire import jsontext

COLUMNS: Final = (
    "request_id", "started_at", "endpoint", "key_name", "session_id", "agent_id", "parent_agent_id", "client",
    "asked_model", "upstream_model", "provider", "mapping", "streamed", "state", "status", "stop_reason",
    "error_type", "error_message", "first_byte_ms", "duration_ms", "attempts", "input_tokens",
    "output_tokens", "cache_read_tokens", "cache_write_tokens", "thinking_tokens", "usage_estimated", "cost",
    "price_source", "service_tier", "tools_called", "tools_failed", "has_images", "ledger_count", "replay_of",
    "upstream_request_id", "request_class", "class_inferred", "task", "agent_type", "prompt_id", "compaction",
)  # fmt: skip
AT_ONCE: Final = 1_000

Row = Mapping[str, Any]


async def csv_lines(rows: QuerySet[Any]) -> AsyncIterator[bytes]:
    """CSV with a header line, newest first."""
    yield csv_text([COLUMNS]).encode()
    async for page in _pages(rows):
        yield csv_text([_cell(row[name]) for name in COLUMNS] for row in page).encode("utf-8", "replace")


async def jsonl_lines(rows: QuerySet[Any]) -> AsyncIterator[bytes]:
    """One JSON object a line, newest first."""
    async for page in _pages(rows):
        yield b"".join(jsontext.dumps({name: _value(row[name]) for name in COLUMNS}) + b"\n" for row in page)


# by the ending of the file's name
FORMATS: Final[dict[str, Callable[[QuerySet[Any]], AsyncIterator[bytes]]]] = {
    "csv": csv_lines,
    "jsonl": jsonl_lines,
}


async def _pages(rows: QuerySet[Any]) -> AsyncIterator[list[Row]]:
    """Pages, each starting behind the last row of the one before: no long transaction, and no row twice."""
    ordered = rows.order_by("-started_at", "-pk").values("pk", *COLUMNS)
    after = ordered
    while page := await _page(after):
        yield page
        at, pk = page[-1]["started_at"], page[-1]["pk"]
        after = ordered.filter(started_at__lte=at).filter(Q(started_at__lt=at) | Q(pk__lt=pk))


@sync_to_async
def _page(rows: Any) -> list[Row]:
    return list(rows[:AT_ONCE])


def _cell(value: Any) -> Any:
    return " ".join(str(item) for item in value) if isinstance(value, list) else _value(value)


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return plain(value) if isinstance(value, Decimal) else value
