"""eraseperson NAME: what *Erase* on the page of a user does."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.conf import gateway_conf
from gateway.config.changes import COMMAND, acting
from gateway.personal_data.erasure import begin, carry_on, holds_of, requests_of


class Command(BaseCommand):
    help = _("Erase a person: their requests with all contents, and their name. The totals stay.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help=_("The name of the user."))
        parser.add_argument(
            "--yes", action="store_true", help=_("Do it. Without this, only say what would be removed.")
        )

    def handle(self, *_args: Any, **given: Any) -> None:
        user = get_user_model().objects.filter(username=given["name"]).first()
        if user is None:
            raise CommandError(_("There is no user %(name)s.") % {"name": given["name"]})
        number, holds = holds_of(user.pk)
        if not given["yes"]:
            total = requests_of(user.pk).count()
            self.stdout.write(_("Would erase %(n)d requests. Add --yes to do it.") % {"n": total - number})
        else:
            with acting(source=COMMAND):
                done = carry_on(
                    begin(user, None, timezone.now()), timezone.now(), gateway_conf().spool_folder
                )
            told = {"n": done.requests, "contents": done.contents}
            self.stdout.write(_("Erased: %(n)d requests, contents of %(contents)d.") % told)
            self.stdout.write(
                _("Pieces of texts that no request needs any more go within two days and a few hours.")
            )
        for hold in holds:
            text = _("Kept until it is lifted: legal hold %(hold)s (%(reason)s).")
            self.stdout.write(text % {"hold": hold, "reason": hold.reason})
        if number or holds:
            self.stdout.write(_("Held requests: %(n)d. Until then the name stays, too.") % {"n": number})
