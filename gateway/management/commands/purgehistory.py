"""purgehistory: removes what retention no longer keeps, as the server does each hour."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.history.retention import MOST_COUNTED, preview, purge


class Command(BaseCommand):
    help = _("Remove contents, requests and totals that are older than the console's Retention page says.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help=_("Only say what would be removed."))

    def handle(self, *_args: Any, **given: Any) -> None:
        now = timezone.now()
        if given["dry_run"]:
            found = preview(now)
            text = _(
                "Would remove: contents of %(bodies)s requests, %(rows)s requests, %(totals)s hourly totals."
            )
            self.stdout.write(
                text
                % {"bodies": _shown(found.bodies), "rows": _shown(found.rows), "totals": _shown(found.totals)}
            )
            return
        run = purge(now, breath=0)
        if run is None:
            raise CommandError(_("Another process is purging just now."))
        text = _(
            "Removed: contents of %(bodies)d requests (%(pieces)d pieces), "
            "%(rows)d requests, %(totals)d hourly totals."
        )
        self.stdout.write(
            text % {"bodies": run.bodies, "pieces": run.pieces, "rows": run.rows, "totals": run.totals}
        )


def _shown(number: int) -> str:
    return f"> {MOST_COUNTED}" if number > MOST_COUNTED else str(number)
