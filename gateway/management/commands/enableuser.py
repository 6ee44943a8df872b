"""enableuser NAME: what the switch on the page of a user does."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from gateway.config.changes import COMMAND, acting
from gateway.config.owners import set_active


class Command(BaseCommand):
    help = _("Let a user, and the keys and sign-ins of that user, in again.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help=_("The name of the user."))

    def handle(self, *_args: Any, name: str, **__: Any) -> None:
        with acting(source=COMMAND):
            found = set_active(name, True)
        if not found:
            raise CommandError(_("There is no user %(name)s.") % {"name": name})
