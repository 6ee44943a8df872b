"""setpolicy --user NAME [--list-models] FILE: a policy of a person's clients, as the console sets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from gateway.client_protocol.managed_settings import warnings_of
from gateway.config.changes import COMMAND, acting
from gateway.config.client_policies import set_policy


class Command(BaseCommand):
    help = _("Give the clients of a person the managed settings of a file, in place of those given before.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, metavar="NAME", help=_("The name of the user."))
        parser.add_argument(
            "--list-models",
            action="store_true",
            help=_("Hand out the models of /model with their prices, too, as they are configured here."),
        )
        parser.add_argument("file", help=_("A settings file of Claude Code, as JSON."))

    def handle(self, *_args: Any, user: str, file: str, list_models: bool, **__: Any) -> None:
        try:
            settings = json.loads(Path(file).read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as problem:
            raise CommandError(
                _("%(file)s cannot be read: %(problem)s") % {"file": file, "problem": problem}
            ) from None
        try:
            with acting(source=COMMAND):
                record = set_policy(user, settings, lists_models=list_models)
        except ValidationError as problem:
            raise CommandError(" ".join(problem.messages)) from None
        if record is None:
            raise CommandError(_("There is no user %(name)s.") % {"name": user})
        for name in warnings_of(settings):
            self.stderr.write(_("%(name)s is not known to have an effect in a policy.") % {"name": name})
