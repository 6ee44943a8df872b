"""movehistory --to URL: everything from SQLite into an empty PostgreSQL, compared at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection, connections
from django.utils.translation import gettext as _

from gateway.conf import gateway_conf
from gateway.config.snapshot.loader import load
from gateway.history.record.processes import OthersServe, OwnProcess
from gateway.history.record.recorder import Recorder
from gateway.management import move
from gateway.management.invocation import command
from gateway.management.preparation import is_prepared


class Command(BaseCommand):
    help = _(
        "Copy configuration and history from SQLite into an empty PostgreSQL database, and compare both. "
        "Stop the gateway first. Repeated, it goes on where it was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--to",
            required=True,
            metavar="URL",
            help=_("The URL of an empty PostgreSQL: postgres://user:password@host/name"),
        )

    def handle(self, *_args: Any, to: str, **__: Any) -> None:
        if connection.vendor != "sqlite":
            raise CommandError(_("The history is not in SQLite; there is nothing to move."))
        if not is_prepared():
            raise CommandError(
                _("The database has unapplied migrations. Run: %(command)s") % {"command": command("migrate")}
            )
        source = str(connection.settings_dict["NAME"])
        self._connect(to)
        try:
            with self._alone():
                self._move(source, to)
        except move.CannotMove as problem:
            raise CommandError(
                _("%(problem)s. Start again with an empty database.") % {"problem": problem}
            ) from None
        except OthersServe as problem:
            raise CommandError(
                _("The gateway serves (%(processes)s). Stop it first.") % {"processes": problem}
            ) from None
        except DatabaseError as problem:
            raise CommandError(
                _("PostgreSQL says: %(problem)s. The same command continues where it stopped.")
                % {"problem": str(problem).strip()}
            ) from None
        finally:
            connections[move.TARGET].close()

    def _connect(self, url: str) -> None:
        given = settings.DATABASE_OF_URL(url)
        if given["ENGINE"] != "django.db.backends.postgresql":
            raise CommandError(_("--to must name a PostgreSQL database: postgres://user:password@host/name"))
        given["OPTIONS"].pop("pool", None)
        both = {"default": connections.databases["default"], move.TARGET: given}
        connections.databases[move.TARGET] = connections.configure_settings(both)[move.TARGET]

    def _alone(self) -> Any:
        """Write what waits in the spool, while no process serves."""
        folder = gateway_conf().spool_folder
        prices = load().prices
        own = OwnProcess(folder, lambda: Recorder(folder, "move", prices=lambda: prices).recover(folder))
        return own.alone()

    def _move(self, source: str, to: str) -> None:
        state = move.state_of_target(source)
        if state == "other":
            raise CommandError(
                _(
                    "The database at --to is not empty, and no copy of this one was begun there. Name an "
                    "empty one."
                )
            )
        if state == "empty":
            self._there(to, "migrate", "--verbosity", "0")
            move.begin(source)
        shown = ""
        for table in move.copy():
            line = _("%(table)s: %(rows)d rows copied") % {"table": table.table, "rows": table.rows}
            if table.cleaned:
                line += _(" (%(number)d with characters that PostgreSQL does not take)") % {
                    "number": table.cleaned
                }
            if table.table != shown and shown:
                self.stdout.write("")
            shown = table.table
            self.stdout.write(line, ending="\r")
            self.stdout.flush()
        self.stdout.write("")
        for table in move.verify():
            if table.rows:
                self.stdout.write(
                    _("%(table)s: %(rows)d rows are the same, SHA-256 %(digest)s")
                    % {"table": table.table, "rows": table.rows, "digest": table.digest[:16]}
                )
        move.finish()
        try:
            self._there(to, "rebuildindex")
        except CommandError as problem:
            raise CommandError(
                _("%(problem)s Everything else is there. Set DATABASE_URL to it, and run rebuildindex.")
                % {"problem": problem}
            ) from None
        self.stdout.write(
            _("Everything is there. Set DATABASE_URL to it, and start the gateway. The SQLite file stays.")
        )

    def _there(self, url: str, *arguments: str) -> None:
        """Run a management command on the target. Raises CommandError."""
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL_FILE"}
        environment |= {
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        ended = subprocess.run(  # noqa: S603 (this very Python)
            [sys.executable, "-m", "django", *arguments], env=environment, check=False
        )
        if ended.returncode:
            raise CommandError(_("%(command)s failed there, see above.") % {"command": arguments[0]})
