"""The command line: `ccproxy` and manage.py are this one function.

It prepares the process for the command (file modes, signals, event loop, first secrets) and turns what an
operator can mend into one sentence on stderr and exit code 1: a folder that cannot be written, a database
that is away or not migrated. `--traceback` shows the traceback instead.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Final, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db.utils import DatabaseError, OperationalError

from ccproxy_site import first_secrets
from ccproxy_site.server.loop import choose_loop
from ccproxy_site.server.terminal_signals import of_terminal
from gateway import __version__
from gateway.management.invocation import command

# commands that make what a first start needs
PREPARING: Final = frozenset({"run", "runserver", "code"})
# exit code of a command that Ctrl-C ended, as shells have it
INTERRUPTED: Final = 130
# how SQLite and PostgreSQL say that a table or column is not there
NOT_MIGRATED: Final = ("no such table", "no such column", "does not exist", "has no column named")


def main() -> None:
    """Run the command of `sys.argv`; returns or exits as Django's command line does."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in ("--version", "version"):
        print(f"ccproxy {__version__}")
        return
    # what is made from here on, database and spool, is nobody else's
    os.umask(0o077)
    _take_ctrl_c(name)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    try:
        if name in PREPARING:
            first_secrets.main()
        choose_loop(sys.argv)
        execute_from_command_line(sys.argv)
    except (DatabaseError, ImproperlyConfigured, OSError) as problem:
        if "--traceback" in sys.argv:
            raise
        sentence = _sentence(problem)
        if not sentence:
            raise
        raise SystemExit(sentence) from None


def _take_ctrl_c(name: str) -> None:
    """Until a server serves there is nothing to keep, so Ctrl-C ends it at once and without a traceback."""
    if name == "serve":
        if "--lifeline" in sys.argv:
            # one of several processes leaves what comes from the terminal to its parent
            for number in of_terminal():
                signal.signal(number, signal.SIG_IGN)
        else:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    elif name in PREPARING - {"code"}:
        signal.signal(signal.SIGINT, _stopped)


def _stopped(_number: int, _frame: FrameType | None) -> NoReturn:
    # each migration is a transaction: one that was under way is undone
    text = "\nStopped before it served. Nothing is left half done: start it again as before.\n"
    os.write(2, text.encode())
    os._exit(INTERRUPTED)


def _sentence(problem: Exception) -> str:
    """What happened and what to do; empty: nothing that an operator can mend."""
    said = " ".join(str(problem).split())
    if isinstance(problem, DatabaseError):
        if any(words in said for words in NOT_MIGRATED):
            return f"The database is not prepared for this version ({said}). Run first: {command('migrate')}"
        if isinstance(problem, OperationalError):
            return f"The database cannot be used ({said}). Look at DATABASE_URL and DATA_DIR in .env."
        return ""
    if isinstance(problem, ImproperlyConfigured):
        return said
    if isinstance(problem, OSError) and problem.filename:
        why = f"Cannot use {problem.filename}: {problem.strerror}."
        return f"{why} Give this user the right to, or set DATA_DIR."
    return ""
