"""usage: the usage of a month and its cost, by owner, group, key, model, provider, client, working folder
or day."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.history.csv_text import csv_text
from gateway.history.totals.usage import BY, UsageReport, usage
from gateway.history.totals.usage_table import COLUMNS, rows_of
from gateway.management.moments import moment


class Command(BaseCommand):
    help = _("Report the usage of a month and its cost, from the totals.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", help=_("Such as 2026-11. Default: this month."))
        parser.add_argument("--since", help=_("Instead of a month: from this time on, such as 2026-11-25."))
        parser.add_argument("--until", help=_("Up to this time. Default: now."))
        parser.add_argument("--by", choices=BY, default="owner", help=_("What to sum up by. Default: owner."))
        parser.add_argument("--format", choices=("table", "csv", "json"), default="table", dest="form")

    def handle(self, *_args: Any, **given: Any) -> None:
        since, until = self._span(given)
        report = usage(given["by"], since, until)
        {"csv": self._csv, "json": self._json, "table": self._table}[given["form"]](report)

    def _span(self, given: dict[str, Any]) -> tuple[datetime, datetime]:
        if given["since"] or given["until"]:
            if given["month"]:
                raise CommandError(_("Give --month or --since, not both."))
            if not given["since"]:
                raise CommandError(_("--until needs --since."))
            since, until = moment(given["since"]), moment(given["until"]) or timezone.now()
            assert since is not None
            if since >= until:
                raise CommandError(_("--since must be before --until."))
            return since, until
        try:
            first = date.fromisoformat(f"{given['month']}-01") if given["month"] else timezone.localdate()
            first = first.replace(day=1)
            behind = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
            start, end = (timezone.make_aware(datetime(day.year, day.month, 1)) for day in (first, behind))  # noqa: DTZ001
            # a month at either end of the calendar may not be one in UTC
            start.astimezone(UTC), end.astimezone(UTC)
            return start, end
        except (ValueError, OverflowError):
            raise CommandError(_("%s is not a month: write 2026-11.") % given["month"]) from None

    def _csv(self, report: UsageReport) -> None:
        text = csv_text(chain([[report.by, *COLUMNS]], rows_of(report)), end="\n")
        self.stdout.write(text, ending="")

    def _json(self, report: UsageReport) -> None:
        lines = [dict(zip([report.by, *COLUMNS], row, strict=True)) for row in rows_of(report)]
        facts = {"by": report.by, "since": report.since.isoformat(), "until": report.until.isoformat()}
        self.stdout.write(json.dumps({**facts, "lines": lines}, indent=1, ensure_ascii=False))

    def _table(self, report: UsageReport) -> None:
        head = [report.by, *COLUMNS]
        rows = [[str(value) for value in row] for row in rows_of(report, total=True)]
        widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
        for row in [head, *rows]:
            first, *others = (
                text.ljust(width) if at == 0 else text.rjust(width)
                for at, (text, width) in enumerate(zip(row, widths, strict=True))
            )
            self.stdout.write("  ".join([first, *others]).rstrip())
        if report.whole.unpriced:
            print(_("The cost of unpriced requests is not known and not in the sums."), file=sys.stderr)
