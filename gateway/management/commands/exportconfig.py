"""exportconfig: writes the configuration as one readable JSON file, without secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from gateway.config.file.document import as_text, exported


class Command(BaseCommand):
    help = _(
        "Write providers, mappings, keys, prices, secret patterns, policies, budgets of people and safeguard "
        "rules as JSON, without any secret."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", help=_("The file to write. Default: standard output."))

    def handle(self, *_args: Any, **given: Any) -> None:
        text = as_text(exported())
        if given["file"]:
            try:
                Path(given["file"]).write_text(text, "utf-8")
            except OSError as problem:
                raise CommandError(
                    _("%(file)s cannot be written: %(problem)s")
                    % {"file": given["file"], "problem": problem.strerror}
                ) from None
        else:
            self.stdout.write(text, ending="")
