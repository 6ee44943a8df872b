"""emergencystop on|off|state: what the switch of the console does."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from gateway.config.changes import COMMAND, acting
from gateway.models import EmergencyStop


class Command(BaseCommand):
    help = _("Refuse all new requests from now on, or accept requests again.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("to", choices=("on", "off", "state"), help=_("on: refuse. off: serve again."))
        parser.add_argument("--reason", default="", help=_("The reason that clients see in the error."))

    def handle(self, *_args: Any, to: str, reason: str, **__: Any) -> None:
        if to != "state":
            try:
                with acting(source=COMMAND):
                    EmergencyStop.switch(to == "on", reason if to == "on" else "")
            except ValidationError as problem:
                raise CommandError(" ".join(problem.messages)) from None
        reason_now = EmergencyStop.reason_now()
        if reason_now is None:
            self.stdout.write(_("Requests are taken."))
        else:
            self.stdout.write(_("New requests are refused: %(reason)s") % {"reason": reason_now or "-"})
