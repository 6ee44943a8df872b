"""cachereport: which requests missed the provider's prompt cache, why, and what it cost."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.history.caching.report import CachingReport, as_csv, as_values, report
from gateway.management.numbers import MOST_HOURS, whole

_TITLES: Final = {
    "reason": gettext_lazy("By reason"),
    "client": gettext_lazy("By client"),
    "target": gettext_lazy("By provider"),
    "mapping": gettext_lazy("By mapping"),
}


class Command(BaseCommand):
    help = _("List the requests that missed the provider's prompt cache, with the reason and what it cost.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--hours", type=whole(1, MOST_HOURS), default=24, help=_("How far back to look (default 24).")
        )
        parser.add_argument(
            "--format", choices=["text", "csv", "json"], default="text", help=_("How to print it.")
        )

    def handle(self, *_args: Any, hours: int, format: str, **__: Any) -> None:
        end = timezone.now()
        start = end - timedelta(hours=hours)
        if format == "json":
            self.stdout.write(json.dumps(list(as_values(start, end)), indent=1))
        elif format == "csv":
            self.stdout.write(as_csv(start, end), ending="")
        else:
            for line in summary(report(start, end)):
                self.stdout.write(line)


def summary(found: CachingReport) -> list[str]:
    """Sums by reason, client, provider and mapping, the most expensive first."""
    if not found.whole.requests:
        return [_("No request missed the cache.")]
    lines: list[str] = []
    for by, sums in found.by.items():
        lines += ["", str(_TITLES[by])]
        for one in sums:
            facts = {
                "number": one.requests, "tokens": one.tokens, "money": f"{one.money:.4f}",
                "name": ", ".join(part for part in one.key if part) or "-",
            }  # fmt: skip
            lines.append("  " + _("%(number)5d requests  %(tokens)10d tokens  $%(money)s  %(name)s") % facts)
    return lines[1:]
