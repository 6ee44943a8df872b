"""What a failed write is about: the server, which may accept the same rows later, or the rows themselves.

Python's classes of database errors do not say: PostgreSQL reports a text that is too long
for a tsvector as an OperationalError, and so does SQLite a sum that overflows. SQLSTATE and
SQLite's result code do.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from django.db import DataError, Error, IntegrityError

# PostgreSQL, https://www.postgresql.org/docs/current/errcodes-appendix.html
_SERVER_CLASSES: Final = frozenset(
    {
        "08",  # connection
        "0A",  # a statement prepared before a migration: "cached plan must not change result type"
        "25",  # state of the transaction; read-only after a failover
        "26",  # a prepared statement that the connection does not have any more
        "28",  # authorization
        "3D",  # no such database
        "3F",  # no such schema
        "40",  # deadlock, serialization
        "42",  # tables and columns: not migrated yet
        "53",  # out of memory, disk or connections
        "55",  # locks
        "57",  # shut down, cancelled
        "58",  # system
        "F0",  # configuration
        "XX",  # internal
    }
)
# SQLite, https://www.sqlite.org/rescode.html
_ROW_CODES: Final = frozenset(
    {sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE}
)
# the general error code: messages about tables that are missing or not migrated yet
_SCHEMA_WORDS: Final = (
    "no such table",
    "no such column",
    "has no column",
    "on conflict clause does not match",
    "transaction",
    "syntax error",
    "readonly",
)


def concerns_server(problem: BaseException) -> bool:
    """Whether the database is unavailable, busy, full or not migrated, so that the same rows may succeed
    later.

    False: the rows themselves cannot be written, now or later. That includes errors that do not come
    from the database, such as a text that cannot be encoded.
    """
    if not isinstance(problem, Error):
        return False
    cause = problem.__cause__
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return str(state)[:2] in _SERVER_CLASSES
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return _concerns_sqlite(int(code) & 0xFF, str(problem).lower())
    if isinstance(problem, DataError | IntegrityError):
        return False
    # raised by the driver itself: it has no connection, or cannot send a value
    words = str(problem).lower()
    return not ("adapt" in words or "binding" in words)


def _concerns_sqlite(code: int, words: str) -> bool:
    if code == sqlite3.SQLITE_ERROR:
        return any(schema in words for schema in _SCHEMA_WORDS)
    return code not in _ROW_CODES
