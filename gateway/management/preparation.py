"""What the gateway needs before it serves, prepared step by step, with one line for each step.

A line begins before its step and is finished after it, to show what takes time.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _

from gateway import __version__
from gateway.management.start_text import section

# a file next to the collected ones: the release for which they were collected
_COLLECTED: Final = ".release"
# missing in files that a release without hashed names collected
_MANIFEST: Final = "staticfiles.json"


class Preparation:
    """The steps, reported on `out`. Each raises CommandError, or what database and file system raise."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def address(self, host: str, port: int) -> None:
        """Check that the gateway can listen on `host` and `port`. Raises CommandError with the next step."""
        with self._step(_("Address")) as told:
            try:
                found = socket.getaddrinfo(
                    host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
                )
                family, _kind, _protocol, _name, where = found[0]
                socket.create_server(where[:2], family=family).close()
            except OSError as problem:
                raise CommandError(_not_listening(host, port, problem)) from problem
            told.append(_("%(host)s:%(port)s is free") % {"host": host, "port": port})

    def database(self) -> None:
        """Apply every migration."""
        with self._step(_("Database")) as told:
            where = (
                connection.settings_dict["NAME"] if connection.vendor == "sqlite" else connection.display_name
            )
            executor = MigrationExecutor(connection)
            number = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
            if number:
                call_command("migrate", verbosity=0, interactive=False)
                told.append(_("%(where)s, %(number)d migrations") % {"where": where, "number": number})
            else:
                told.append(_("%(where)s, up to date") % {"where": where})

    def static_files(self) -> None:
        """Collect the static files: once for each release, and at each start of a clone."""
        with self._step(_("Static files")) as told:
            folder = Path(settings.STATIC_ROOT)
            mark = folder / _COLLECTED
            known = mark.is_file() and (folder / _MANIFEST).is_file() and mark.read_text() == __version__
            if settings.FILES_MAY_CHANGE or not known:
                call_command("collectstatic", verbosity=0, interactive=False)
                mark.write_text(__version__)
                told.append(str(folder))
            else:
                told.append(_("%(where)s, up to date") % {"where": folder})

    @contextmanager
    def _step(self, title: str) -> Iterator[list[str]]:
        """Print `title` at once, and what the step appends and its seconds at the end."""
        told: list[str] = []
        self._out.write(section(title, ["... "]))
        self._out.flush()
        begun = time.monotonic()
        try:
            yield told
        except BaseException:
            self._out.write("\n")
            self._out.flush()
            raise
        self._out.write(f"{''.join(told)} ({time.monotonic() - begun:.1f} s)\n")
        self._out.flush()


def is_prepared() -> bool:
    """Whether all migrations are applied."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def _not_listening(host: str, port: int, problem: OSError) -> str:
    facts = {"host": host, "port": port, "problem": problem.strerror or problem}
    if isinstance(problem, socket.gaierror):
        return _("HOST is %(host)s, which is no address of this machine (%(problem)s).") % facts
    if isinstance(problem, PermissionError):
        return _("This user may not listen on port %(port)s. Choose a PORT above 1023 in .env.") % facts
    return (
        _(
            "Cannot listen on %(host)s:%(port)s: is the gateway running already? "
            "Stop it, or choose another PORT in .env."
        )
        % facts
    )


def first_start_text() -> str:
    """The line above all steps."""
    return f"ccproxy {__version__}, Python {sys.version.split()[0]}"
