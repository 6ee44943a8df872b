"""A dry run of the conversion, without a provider: JSON in, JSON out."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from gateway.management import dryrun
from gateway.wire import jsontext


class Command(BaseCommand):
    help = _(
        "Converts a request, an answer, a stream or an error as the gateway would. "
        "The input has the form of the files in tests/vectors; without a file it is read from stdin."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
        parser.add_argument("--check", action="store_true", help=_("compare with what each file expects"))

    def handle(self, *_args: Any, **options: Any) -> None:
        files: list[Path] = options["files"]
        if options["check"]:
            self._check(files)
            return
        texts = [_text(file) for file in files] or [sys.stdin.buffer.read()]
        for text in texts:
            self.stdout.write(jsontext.dumps_text(_answered(_case(text))))

    def _check(self, files: list[Path]) -> None:
        if not files:
            raise CommandError(_("--check needs at least one file"))
        outcomes: Counter[str] = Counter()
        for file in files:
            outcomes[self._checked(file)] += 1
        self.stdout.write(
            _("%(passed)d passed, %(failed)d failed")
            % {"passed": outcomes["passed"], "failed": outcomes["failed"]}
        )
        if outcomes["failed"]:
            sys.exit(1)

    def _checked(self, file: Path) -> str:
        try:
            case = _case(_text(file))
            found = dryrun.check(case)
        except (CommandError, ValueError, KeyError) as problem:
            found = [_("not a usable case: %(problem)s") % {"problem": problem}]
        if not found:
            return "passed"
        self.stdout.write(self.style.ERROR(_("FAILED %(case)s") % {"case": file.stem}))
        for line in found:
            self.stdout.write(f"  {line}")
        return "failed"


def _answered(case: dict[str, Any]) -> dict[str, Any]:
    try:
        return dryrun.run(case)
    except (ValueError, KeyError) as problem:
        raise CommandError(_("not a usable case: %(problem)s") % {"problem": problem}) from None


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise CommandError(f"{file}: {problem.strerror}") from None


def _case(text: bytes) -> dict[str, Any]:
    try:
        case = jsontext.loads(text)
    except jsontext.InvalidJSON as problem:
        raise CommandError(_("not JSON: %(problem)s") % {"problem": problem}) from None
    if not isinstance(case, dict):
        raise CommandError(_("a case is a JSON object"))
    return case
