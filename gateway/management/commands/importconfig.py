"""importconfig: imports a configuration file in one transaction, or says what that would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gateway.config.file.document import imported, read
from gateway.config.file.fields import Unusable


class Command(BaseCommand):
    help = _("Import a file that exportconfig wrote. Records that are not in it stay.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help=_("The JSON file."))
        parser.add_argument("--dry-run", action="store_true", help=_("Only say what would change."))
        parser.add_argument(
            "--remove",
            action="store_true",
            help=_("Remove records that are not in the file; keys are revoked."),
        )

    def handle(self, *_args: Any, **given: Any) -> None:
        try:
            lines = imported(read(Path(given["file"])), remove=given["remove"], dry_run=given["dry_run"])
        except Unusable as problem:
            raise CommandError(str(problem)) from problem
        for line in lines:
            self.stdout.write(line)
        changes = sum(not line.startswith("!") for line in lines)
        if given["dry_run"]:
            said = ngettext("%d change would be made.", "%d changes would be made.", changes)
        else:
            said = ngettext("%d change made.", "%d changes made.", changes)
        self.stdout.write(said % changes)
