"""A usage report as rows of a table: for CSV files, JSON and the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from gateway.history.totals.usage import UsageReport, UsageSums

COLUMNS: Final = (
    "requests", "failed", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "cost_usd", "unpriced_requests",
)  # fmt: skip
# of a dollar; sums of whole requests need no more
_PLACES: Final = Decimal("0.000001")
# a spreadsheet takes a text that begins so for a formula
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def rows_of(report: UsageReport, *, total: bool = False) -> Iterator[list[Any]]:
    """The name, then COLUMNS, of each line; at the end the sum, when it is asked for.

    Of groups there is no sum: whoever is in several counts in each.
    """
    for line in report.lines:
        yield [unlike_formula(line.name) or "-", *_values(line.sums)]
    if total and report.by != "group":
        yield ["=", *_values(report.whole)]


def unlike_formula(text: str) -> str:
    """A text that no spreadsheet runs."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _values(sums: UsageSums) -> list[Any]:
    return [
        sums.requests,
        sums.failed,
        sums.input_tokens,
        sums.output_tokens,
        sums.cache_read_tokens,
        sums.cache_write_tokens,
        f"{sums.cost.quantize(_PLACES):f}",
        sums.unpriced,
    ]
