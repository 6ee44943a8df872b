"""Statistics about the tables, so that the database chooses the most selective index."""

from __future__ import annotations

from typing import Final

from django.db import connection

# Per index. Reading all of a million rows takes seconds, this takes milliseconds.
SAMPLE: Final = 1_000


def inform() -> None:
    """Sample all tables; SQLite never does so by itself, PostgreSQL only after a while.

    Without it SQLite takes the index on an owner's keys, a quarter of the history, although one for a few
    rows was available.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA analysis_limit = {SAMPLE}")
        cursor.execute("ANALYZE")
