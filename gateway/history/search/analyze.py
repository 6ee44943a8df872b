"""What the database is told about its tables, so that it chooses the index that leads to fewest rows."""

from __future__ import annotations

from typing import Final

from django.db import connection

# Of each index. Reading all of a million rows takes seconds, this milliseconds.
SAMPLE: Final = 1_000


def inform() -> None:
    """Look at samples of all tables; SQLite never does so by itself, PostgreSQL only after a while.

    Without it SQLite takes the index of a member's keys, a quarter of the history, where one for
    a few rows was at hand.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA analysis_limit = {SAMPLE}")
        cursor.execute("ANALYZE")
