"""rebuildtotals: recomputes the hourly totals of a time range from the rows of the history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from gateway.history.totals import hourly
from gateway.history.totals.contributions import hour_of
from gateway.models import RequestLog


class Command(BaseCommand):
    help = _(
        "Make the hourly totals anew from the history, where they differ from it. Hours of which requests "
        "were removed are left as they are: from before the last purge's limit, and from before the last "
        "erasure."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", help=_("From this time on, such as 2026-01-31. Default: all rows."))
        parser.add_argument("--until", help=_("Up to the hour of this time. Default: now."))
        parser.add_argument(
            "--without-erased",
            action="store_true",
            help=_("With --since: also hours from before the last erasure. What was erased counts no more."),
        )

    def handle(self, *_args: Any, **given: Any) -> None:
        if given["without_erased"] and not given["since"]:
            raise CommandError(_("--without-erased needs --since."))
        oldest = RequestLog.objects.order_by("started_at").values_list("started_at", flat=True).first()
        if oldest is None:
            self.stdout.write(_("The history has no rows. Nothing was changed."))
            return
        first = hourly.first_whole_hour(oldest, since_erasures=not given["without_erased"])
        if given["since"]:
            first = max(first, hour_of(_time(given["since"])))
        last = hour_of(_time(given["until"]) if given["until"] else timezone.now())
        number = hourly.rebuild(first, last)
        self.stdout.write(
            _("%(requests)d requests counted in %(hours)d hours, since %(first)s.")
            % {
                "requests": number,
                "hours": max(0, last - first + 1),
                "first": f"{hourly.moment(first):%Y-%m-%d %H:%M} UTC",
            }
        )


def _time(text: str) -> datetime:
    try:
        found = parse_datetime(text) or datetime.fromisoformat(text)
    except ValueError as problem:
        raise CommandError(
            _("%(text)s is not a time; write 2026-01-31 or 2026-01-31T14:00.") % {"text": text}
        ) from problem
    return found if timezone.is_aware(found) else found.replace(tzinfo=UTC)
