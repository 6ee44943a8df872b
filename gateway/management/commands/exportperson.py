"""exportperson NAME: what is kept of a person, as exported by the user's page."""

from __future__ import annotations

import os
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from gateway.config.changes import COMMAND, acting, command_user, note_sentence
from gateway.personal_data.export import person_lines


class Command(BaseCommand):
    help = _(
        "Write everything that is kept of a person, one JSON object a line; reads of contents are noted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help=_("The name of the user."))
        parser.add_argument("--output", help=_("A new file. Default: standard output."))
        parser.add_argument("--no-contents", action="store_true", help=_("Without the texts of requests."))

    def handle(self, *_args: Any, **given: Any) -> None:
        user = get_user_model().objects.filter(username=given["name"]).first()
        if user is None:
            raise CommandError(_("There is no user %(name)s.") % {"name": given["name"]})
        lines = person_lines(user, command_user(), with_contents=not given["no_contents"])
        if given["output"]:
            try:
                with open(given["output"], "xb", opener=_privately) as file:
                    _note(user)
                    file.writelines(lines)
            except OSError as problem:
                raise CommandError(str(problem)) from None
        else:
            _note(user)
            for line in lines:
                self.stdout.write(line.decode(), ending="")


def _note(user: Any) -> None:
    """Log the export before it begins, because an interrupted one has given data out, too."""
    with acting(source=COMMAND):
        note_sentence(user, _("What is kept of the person was exported."))


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
