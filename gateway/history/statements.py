"""SQL statements of the history, passed directly to the database's driver.

For SQLite, Django finds the placeholders of a statement with a regular expression each time it runs: for
an upsert of forty columns that costs more than running it. These are translated once. Errors are
Django's, as everywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections

_Values = Sequence[Any]


class Statement:
    """A statement with %s for its values and no other percent sign."""

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self._driver_text: Final = text.replace("%s", "?")

    def many(self, rows: Sequence[_Values]) -> None:
        """Run it once for each row; does nothing without rows."""
        if not rows:
            return
        database = connections[DEFAULT_DB_ALIAS]
        if database.vendor == "sqlite" and not database.queries_logged:
            database.ensure_connection()
            with database.wrap_database_errors:
                database.connection.executemany(self._driver_text, rows)
        else:
            with database.cursor() as cursor:
                cursor.executemany(self.text, rows)

    def rows(self, values: _Values) -> list[tuple[Any, ...]]:
        """Run it and fetch its result."""
        database = connections[DEFAULT_DB_ALIAS]
        found: list[tuple[Any, ...]]
        if database.vendor == "sqlite" and not database.queries_logged:
            database.ensure_connection()
            with database.wrap_database_errors:
                found = database.connection.execute(self._driver_text, values).fetchall()
        else:
            with database.cursor() as cursor:
                cursor.execute(self.text, values)
                found = cursor.fetchall()
        return found


@lru_cache(maxsize=200)
def among(text: str, number: int) -> Statement:
    """A statement with this many placeholders where `text` has {places}."""
    return Statement(text.format(places=", ".join(["%s"] * number)))
