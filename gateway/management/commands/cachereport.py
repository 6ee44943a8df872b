"""cachereport: which requests missed the provider's prompt cache, why, and what it cost."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.config.snapshot.loader import load
from gateway.history.caching.stored import MissedRequest, misses

COLUMNS: Final = (
    "request_id", "started_at", "session", "agent", "client", "provider", "upstream_model", "mapping", "item",
    "culprit", "reason", "tokens", "money",
)  # fmt: skip


# requests, tokens, US dollars
_Sum = tuple[int, int, Decimal]


class Command(BaseCommand):
    help = _("List the requests that missed the provider's prompt cache, with the reason and what it cost.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hours", type=int, default=24, help=_("How far back to look (default 24)."))
        parser.add_argument(
            "--format", choices=["text", "csv", "json"], default="text", help=_("How to print it.")
        )

    def handle(self, *_args: Any, hours: int, format: str, **__: Any) -> None:
        end = timezone.now()
        prices = load().prices
        found = misses(end - timedelta(hours=hours), end, lambda: prices)
        rows = [as_row(one) for one in found]
        if format == "json":
            self.stdout.write(json.dumps(rows, indent=1))
        elif format == "csv":
            self.stdout.write(_csv(rows), ending="")
        else:
            for line in summary(rows):
                self.stdout.write(line)


def as_row(missed: MissedRequest) -> dict[str, Any]:
    """One miss as plain values, by COLUMNS."""
    row, miss = missed.row, missed.miss
    values = (
        row.request_id, row.started_at.isoformat(), row.session_id, row.agent_id, row.client, row.provider,
        row.upstream_model, row.mapping, str(miss.difference or ""), miss.culprit,
        miss.reason, miss.tokens, None if missed.money is None else str(missed.money),
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Sums by reason, client, provider and mapping, the dearest first."""
    if not rows:
        return [_("No request missed the cache.")]
    lines = []
    for title, names in (
        (_("By reason"), ("culprit", "item", "reason")),
        (_("By client"), ("client",)),
        (_("By provider"), ("provider", "upstream_model")),
        (_("By mapping"), ("mapping",)),
    ):
        lines += ["", title]
        for name, (number, tokens, money) in _sums(rows, names):
            facts = {"number": number, "tokens": tokens, "money": f"{money:.4f}", "name": name}
            lines.append("  " + _("%(number)5d requests  %(tokens)10d tokens  $%(money)s  %(name)s") % facts)
    return lines[1:]


def _sums(rows: Iterable[dict[str, Any]], names: tuple[str, ...]) -> list[tuple[str, _Sum]]:
    sums: dict[str, _Sum] = {}
    for row in rows:
        # the number of a message differs with every request
        parts = [str(row[name]).rstrip(" 0123456789") if name == "item" else str(row[name]) for name in names]
        name = ", ".join(part for part in parts if part) or "-"
        number, tokens, money = sums.get(name, (0, 0, Decimal(0)))
        sums[name] = (number + 1, tokens + row["tokens"], money + Decimal(row["money"] or 0))
    return sorted(sums.items(), key=lambda one: (one[1][2], one[1][1]), reverse=True)


def _csv(rows: Iterable[dict[str, Any]]) -> str:
    out = StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    # a spreadsheet takes a text that begins so for a formula
    writer.writerows(
        {name: f"'{value}" if str(value)[:1] in tuple("=+-@\t\r") else value for name, value in row.items()}
        for row in rows
    )
    return out.getvalue()
