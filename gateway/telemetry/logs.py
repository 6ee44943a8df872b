"""Log lines as JSON, one object a line: time, level, logger, message, and the fields given as `extra`.

A library or a provider may repeat a secret in an error's text. So every value that `conceal` was told of is
replaced in each text of a line, wherever it came from.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from gateway.wire import jsontext

# of several processes and machines, the one that wrote the line
_HOST: Final = socket.gethostname()
MASK: Final = "[masked:configured]"

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


logger = logging.getLogger("gateway.server")
# values that no line shows, a longer one before those it contains
_concealed: Callable[[], Iterable[str]] = tuple


def conceal(secrets: Callable[[], Iterable[str]]) -> None:
    """Show none of the values that `secrets` returns from now on; it is asked for each line.

    Longest first: of two values of which one contains the other, both are replaced as a whole.
    """
    global _concealed
    _concealed = secrets


def log_ended_threads() -> None:
    """A thread that ends by an error is an ERROR in the log: what it did is done by nobody now."""

    def ended(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_type is SystemExit:
            return
        name = arguments.thread.name if arguments.thread is not None else ""
        logger.error(
            "a thread ended by an error",
            extra={"thread_name": name},
            exc_info=(
                arguments.exc_type,
                arguments.exc_value or arguments.exc_type(),
                arguments.exc_traceback,
            ),
        )

    threading.excepthook = ended


class JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, str | int | float | None] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "instance": f"{_HOST}:{record.process}",
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = value if isinstance(value, str | int | float | bool | type(None)) else str(value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        for secret in _concealed():
            for name, value in line.items():
                if isinstance(value, str) and secret in value:
                    line[name] = value.replace(secret, MASK)
        return jsontext.dumps_text(line)
