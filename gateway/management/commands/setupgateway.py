"""setupgateway: updates the records at each start and says what to do next; safe to repeat."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db.utils import OperationalError, ProgrammingError
from django.utils.translation import gettext as _

from gateway.conf import gateway_conf
from gateway.config.file import document
from gateway.config.snapshot.loader import load
from gateway.config.startup.client_setup_text import base_url
from gateway.config.startup.environment import sync_environment
from gateway.config.startup.start_lock import start_lock
from gateway.management import start_text
from gateway.management.invocation import command
from gateway.management.ollama import ollama_models


class Command(BaseCommand):
    help = _("Prepare the gateway (first start and every start) and print how to use it.")

    def handle(self, *_args: Any, **__: Any) -> None:
        conf = gateway_conf()
        try:
            with start_lock():
                synced = sync_environment(conf)
                if conf.config_file:
                    document.load(Path(conf.config_file))
        except (OperationalError, ProgrammingError) as problem:
            raise CommandError(
                _("The database is not ready (%(problem)s). Run first: %(command)s")
                % {"problem": problem, "command": command("migrate")}
            ) from problem
        except ValueError as problem:
            raise CommandError(str(problem)) from problem
        today = datetime.now(UTC).date()
        ollama = ollama_models() if synced.demo_only else None
        claude = start_text.claude_lines(conf, load(conf))
        self._say(
            "",
            start_text.section(_("Provider"), start_text.provider_lines(synced, conf, ollama, today)),
            "",
            start_text.section(_("Admin"), [f"{base_url(conf)}/admin/", *self._first_admin()]),
            "",
            _("Start Claude Code in another terminal:"),
            "",
            *(f"  {line}" for line in claude),
            "",
        )

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.stdout.write(line)

    def _first_admin(self) -> list[str]:
        """Create a superuser if there is none; only the returned lines have the password."""
        users: Any = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return []
        name = "admin" if not users.filter(username="admin").exists() else "ccproxy-admin"
        password = secrets.token_urlsafe(12)
        users.create_superuser(username=name, password=password)
        return [
            _("User %(name)s, password %(password)s") % {"name": name, "password": password},
            _("This password is shown only now. Lost it? %(command)s")
            % {"command": command(f"changepassword {name}")},
        ]
