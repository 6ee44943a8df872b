"""run: prepares everything, says what to do next, and serves. `make run` and `ccproxy run` use it."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.utils.translation import gettext as _

from gateway.conf import gateway_conf
from gateway.management.preparation import Preparation, first_start_text
from gateway.management.start_text import section


class Command(BaseCommand):
    help = _("Prepares the database and everything else that is missing, and serves the gateway.")
    requires_system_checks = ["gateway"]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--prepare", action="store_true", help=_("only prepare, for a service that serves by itself")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        conf = gateway_conf()
        print(first_start_text())
        print(section(_("Settings"), [str(settings.SETTINGS_FILE)]), flush=True)
        preparation = Preparation(sys.stdout)
        # first, so that no line that sounds like success comes before it
        if not options["prepare"]:
            try:
                preparation.address(conf.host, conf.port)
            except CommandError as problem:
                raise SystemExit(str(problem)) from None
        preparation.database()
        preparation.static_files()
        call_command("setupgateway", stdout=self.stdout)
        if options["prepare"]:
            return
        connections.close_all()
        self.stdout.flush()
        # in a new process image, to free the memory that migrations and collecting took
        os.execv(sys.executable, [sys.executable, sys.argv[0], "serve"])  # noqa: S606
