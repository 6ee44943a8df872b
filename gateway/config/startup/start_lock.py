"""start_lock: the work of a starting process, one process at a time.

Each process brings the configuration file's records, the environment's and the groups in step.
Several that start at once, on one machine or many, would all find a record missing and create it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from django.db import connection

logger = logging.getLogger("gateway.config")

# namespace and key of the advisory lock
_LOCK: Final = (0x63637072, 1)
# seconds; a process that holds it longer is stuck, and the start fails with the database's error
LONGEST: Final = 120


@contextlib.contextmanager
def start_lock() -> Iterator[None]:
    """Hold the lock of all processes that share this database, on whatever machine.

    Raises what the database raises. A process that dies releases it.
    """
    if connection.vendor == "postgresql":
        with _advisory_lock():
            yield
    else:
        with _file_lock():
            yield


@contextlib.contextmanager
def _advisory_lock() -> Iterator[None]:
    # A connection of its own, so that the work itself may commit. The lock belongs to its transaction
    # and ends with it, even behind a pooler that shares connections.
    own = connection.copy()
    own.settings_dict = {**own.settings_dict, "OPTIONS": _unpooled(own.settings_dict["OPTIONS"])}
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LONGEST}s'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", _LOCK)
        yield
    finally:
        own.close()


def _unpooled(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "pool"}


@contextlib.contextmanager
def _file_lock() -> Iterator[None]:
    name = str(connection.settings_dict["NAME"])
    if not Path(name).is_file():
        # in memory: not shared
        yield
        return
    descriptor = os.open(f"{name}.start", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
