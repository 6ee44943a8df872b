"""Daphne's runserver on port 8082, with this project's server class."""

from __future__ import annotations

import sys
from typing import Any

from daphne.management.commands.runserver import Command as DaphneRunserver
from django.conf import settings
from django.core.management import call_command
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from gateway.management.preparation import Preparation, is_prepared


class Command(DaphneRunserver):
    help = _("Starts the gateway for development, on Daphne.")

    def handle(self, *args: Any, **options: Any) -> None:
        # the reloader calls this in two processes, one after the other
        if not is_prepared():
            Preparation(sys.stdout).database()
            call_command("setupgateway", stdout=self.stdout)
        self.default_port = str(settings.GATEWAY["port"])
        self.server_cls = import_string(settings.GATEWAY_SERVER)
        super().handle(*args, **options)
