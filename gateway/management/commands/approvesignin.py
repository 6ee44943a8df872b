"""approvesignin CODE --user NAME: approve a machine by the code it shows, like the console's page."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.config import sign_in
from gateway.config.changes import COMMAND, acting


class Command(BaseCommand):
    help = _("Approve the sign-in of a machine by the code that it shows, as a user of the console.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user_code", help=_("The code that Claude Code shows."))
        parser.add_argument(
            "--user", required=True, metavar="NAME", help=_("The user as whom the machine signs in.")
        )

    def handle(self, *_args: Any, user_code: str, user: str, **__: Any) -> None:
        person = get_user_model().objects.filter(username=user).first()
        if person is None:
            raise CommandError(_("There is no user %(name)s.") % {"name": user})
        now = timezone.now()
        grant = sign_in.waiting(user_code, now)
        with acting(source=COMMAND):
            key = sign_in.approve(grant, person, now) if grant is not None else None
        if key is None:
            raise CommandError(_("No machine waits with this code, or the account is inactive."))
        self.stdout.write(_("%(name)s is signed in: %(key)s") % {"name": user, "key": key.name})
