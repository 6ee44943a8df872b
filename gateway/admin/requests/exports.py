"""Rows of the history as CSV and JSONL, page by page of the database, so that any number can be sent."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.db.models import Q, QuerySet

from gateway.admin.ui.html_format import plain
from gateway.wire import jsontext

COLUMNS: Final = (
    "request_id", "started_at", "endpoint", "key_name", "session_id", "agent_id", "parent_agent_id", "client",
    "asked_model", "upstream_model", "provider", "mapping", "streamed", "state", "status", "stop_reason",
    "error_type", "error_message", "first_byte_ms", "duration_ms", "attempts", "input_tokens",
    "output_tokens", "cache_read_tokens", "cache_write_tokens", "thinking_tokens", "usage_estimated", "cost",
    "price_source", "tools_called", "tools_failed", "has_images", "ledger_count", "replay_of",
    "upstream_request_id", "request_class", "class_inferred", "task", "agent_type", "prompt_id", "compaction",
)  # fmt: skip
AT_ONCE: Final = 1_000
# a spreadsheet takes a text that begins so for a formula
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Row = Mapping[str, Any]


async def csv_lines(rows: QuerySet[Any]) -> AsyncIterator[bytes]:
    """CSV with a head, newest first; texts that a spreadsheet would run are quoted with an apostrophe."""
    yield _csv([COLUMNS])
    async for page in _pages(rows):
        yield _csv([_cell(row[name]) for name in COLUMNS] for row in page)


async def jsonl_lines(rows: QuerySet[Any]) -> AsyncIterator[bytes]:
    """One JSON object a line, newest first."""
    async for page in _pages(rows):
        yield b"".join(jsontext.dumps({name: _value(row[name]) for name in COLUMNS}) + b"\n" for row in page)


FORMATS: Final[dict[str, tuple[str, Callable[[QuerySet[Any]], AsyncIterator[bytes]]]]] = {
    "csv": ("text/csv; charset=utf-8", csv_lines),
    "jsonl": ("application/x-ndjson", jsonl_lines),
}


async def _pages(rows: QuerySet[Any]) -> AsyncIterator[list[Row]]:
    """Pages by the place in the order of the list: no long transaction, and nothing is read twice."""
    ordered = rows.order_by("-started_at", "-pk").values("pk", *COLUMNS)
    after = ordered
    while page := await _page(after):
        yield page
        at, pk = page[-1]["started_at"], page[-1]["pk"]
        after = ordered.filter(started_at__lte=at).filter(Q(started_at__lt=at) | Q(pk__lt=pk))


@sync_to_async
def _page(rows: Any) -> list[Row]:
    return list(rows[:AT_ONCE])


def _csv(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    value = _value(value)
    if isinstance(value, list):
        value = " ".join(str(item) for item in value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return plain(value) if isinstance(value, Decimal) else value
