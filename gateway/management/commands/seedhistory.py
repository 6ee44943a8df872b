"""seedhistory: fills the history with made-up requests, for trying out and measuring the admin."""

from __future__ import annotations

import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.history.content import bodies
from gateway.history.record.follow_up import follow_up
from gateway.history.search import analyze
from gateway.management.numbers import MOST_DAYS, whole
from gateway.management.seeding import PREFIX, Seeding, conversation
from gateway.models import FollowUp, RequestLog


class Command(BaseCommand):
    help = _("Fill the history with made-up requests for trying out the admin. Not for a database in use.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rows", type=whole(1), default=10_000, help=_("How many requests."))
        parser.add_argument(
            "--days", type=whole(1, MOST_DAYS), default=30, help=_("The number of days up to now.")
        )
        parser.add_argument(
            "--bodies", type=whole(0), default=500, help=_("How many of the newest have contents.")
        )
        parser.add_argument(
            "--seed", type=whole(0), default=1, help=_("The same number gives the same requests.")
        )
        parser.add_argument(
            "--force", action="store_true", help=_("Do it even if the history has requests of clients.")
        )

    def handle(self, *_args: Any, **given: Any) -> None:
        real = RequestLog.objects.exclude(request_id__startswith=PREFIX).exists()
        if real and not given["force"]:
            raise CommandError(
                _("The history has requests of clients. Use another database, or --force if you mean it.")
            )
        if RequestLog.objects.filter(request_id__startswith=f"{PREFIX}{given['seed']:02x}").exists():
            raise CommandError(_("This --seed is in the history already; choose another number."))
        start = time.monotonic()
        seeding = Seeding(given["rows"], given["days"], timezone.now(), given["seed"])
        for written in seeding.run():
            if written == seeding.rows:
                # before the copies: each row is read for it
                call_command("countoutcomes", stdout=self.stdout)
            if written % 100_000 == 0:
                self.stdout.write(_("%(rows)d rows") % {"rows": written})
        self._contents(given["bodies"], given["seed"])
        analyze.inform()
        self.stdout.write(
            _("%(rows)d requests in %(seconds).0f s.")
            % {"rows": seeding.rows * seeding.copies, "seconds": time.monotonic() - start}
        )

    def _contents(self, number: int, seed: int) -> None:
        newest = RequestLog.objects.filter(request_id__startswith=f"{PREFIX}{seed:02x}", endpoint="messages")
        names = list(newest.order_by("-started_at").values_list("request_id", flat=True)[:number])
        for place in range(0, len(names), 100):
            some = names[place : place + 100]
            bodies.store(
                [
                    (name, bodies.packed(conversation(place + index, index % 12, seed)))
                    for index, name in enumerate(some)
                ]
            )
            FollowUp.objects.bulk_create([FollowUp(request_id=name) for name in some], ignore_conflicts=True)
        while follow_up():
            pass
