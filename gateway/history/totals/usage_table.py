"""A usage report as rows of a table: for CSV files, JSON and the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from gateway.history.totals.usage import UsageReport, UsageSums

COLUMNS: Final = (
    "requests", "failed", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "cost_usd", "unpriced_requests",
)  # fmt: skip
# of a dollar; sums need no more
_PLACES: Final = Decimal("0.000001")


def rows_of(report: UsageReport, *, total: bool = False) -> Iterator[list[object]]:
    """The name, then COLUMNS, of each line; with `total` the sum at the end.

    Groups have no sum, because people in several groups count in each.
    """
    for line in report.lines:
        yield [line.name or "-", *_values(line.sums)]
    if total and report.by != "group":
        yield ["=", *_values(report.whole)]


def _values(sums: UsageSums) -> list[object]:
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
