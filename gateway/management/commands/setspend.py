"""setspend --user NAME --percent N: book a correction of what a person has spent."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from gateway.config.changes import COMMAND, acting
from gateway.limits.corrections import set_spent
from gateway.management.numbers import whole


class Command(BaseCommand):
    help = _(
        "Book a correction, so that the spend budget of a person is used to N percent. A person without a "
        "budget gets one of 100 dollars a month."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, metavar="NAME", help=_("The name of the user."))
        parser.add_argument(
            "--percent", required=True, type=whole(0, 1000), metavar="N", help=_("0 to 1000.")
        )

    def handle(self, *_args: Any, user: str, percent: int, **__: Any) -> None:
        with acting(source=COMMAND):
            found = set_spent(user, percent)
        if not found:
            raise CommandError(_("There is no user %(name)s.") % {"name": user})
