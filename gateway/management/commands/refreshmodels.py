"""refreshmodels: read windows, prices and ends of models from the installed packages again."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.config.model_lifecycle import lifecycle
from gateway.config.model_lifecycle.published import as_text, published

FILE: Final = Path(lifecycle.__file__).with_name(lifecycle.FILE)


class Command(BaseCommand):
    help = _(
        "Read windows and prices of models from the package genai-prices, and their announced ends from "
        "openai and anthropic, into the data file."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help=_("Only say whether the file is up to date; the exit status is 1 if not."),
        )

    def handle(self, *_args: Any, check: bool, **__: Any) -> None:
        try:
            text = as_text(published(_day(FILE) if check else timezone.now().date()))
        except ImportError as missing:
            raise CommandError(
                _("%(problem)s: install requirements-dev.txt first.") % {"problem": missing}
            ) from None
        except ValueError as problem:
            raise CommandError(str(problem)) from None
        same = FILE.exists() and _without_day(FILE.read_text("utf-8")) == _without_day(text)
        if check and not same:
            raise CommandError(_("%(file)s is not up to date: run refreshmodels.") % {"file": FILE.name})
        if not same:
            FILE.write_text(text, "utf-8")
        self.stdout.write(
            _("%(file)s is up to date.") % {"file": FILE.name}
            if same
            else _("%(file)s was written.") % {"file": FILE.name}
        )


def _day(file: Path) -> date:
    """The day whose prices the file has."""
    return date.fromisoformat(json.loads(file.read_text("utf-8"))["prices_of"])


def _without_day(text: str) -> str:
    return text.partition("\n")[2]
