"""Which model names the totals distinguish, so that names made up by clients cannot create endless rows.

The first FREE names are counted by name, further ones up to LIMIT only when a provider answered under
them; all others together as OTHER. The decision for an exchange is stored in its row (`folded`), so it
can be counted off and recounted the same way whatever is decided later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sized
from functools import partial
from typing import Any, Final

from django.db import connection, transaction

from gateway.history.outcome import OK, OPEN
from gateway.history.totals.contributions import FOLDED_ASKED, FOLDED_UPSTREAM, HOUR
from gateway.models import CountedName

LIMIT: Final = 300
FREE: Final = 150

_PUT: Final = """
INSERT INTO gateway_countedname (name, since) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING
"""


class CountedNames:
    """The names that this process knows to be counted; looked up again each hour while it meets others."""

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()
        self._hour = 0
        self._lock = threading.Lock()

    def fold(self, rows: Iterable[dict[str, Any]]) -> None:
        """Decide for rows of RequestLog, by column, that are about to be written; sets their `folded`.

        Inside the caller's transaction, which may admit names.
        """
        ended = [row for row in rows if row["state"] != OPEN]
        if not ended:
            return
        wanted = {
            (name, row["state"])
            for row in ended
            for name in (row["asked_model"], row["upstream_model"])
            if name
        }
        names = self._admitted(wanted, int(time.time()) // HOUR)
        for row in ended:
            asked, upstream = row["asked_model"], row["upstream_model"]
            row["folded"] = (FOLDED_ASKED if asked and asked not in names else 0) | (
                FOLDED_UPSTREAM if upstream and upstream not in names else 0
            )

    def _admitted(self, wanted: Iterable[tuple[str, str]], hour: int) -> frozenset[str]:
        """Admit what there is room for; returns the counted names. `wanted`: names and states."""
        names = self._names
        new = [(name, state) for name, state in wanted if name not in names]
        if not new or (hour == self._hour and not any(_room(names, state) for _, state in new)):
            return names
        stored = set(CountedName.objects.values_list("name", flat=True))
        for name, state in sorted(new):
            if name not in stored and _room(stored, state):
                with connection.cursor() as cursor:
                    cursor.execute(_PUT, [name, hour])
                stored.add(name)
        # not before the commit: a rolled-back name is not counted
        transaction.on_commit(partial(self._know, frozenset(stored), hour))
        return frozenset(stored)

    def forget(self) -> None:
        """Forget everything, as after the database was replaced."""
        self._know(frozenset(), 0)

    def _know(self, names: frozenset[str], hour: int) -> None:
        with self._lock:
            self._names, self._hour = names, hour


def _room(names: Sized, state: str) -> bool:
    return len(names) < (LIMIT if state == OK else FREE)


counted_names = CountedNames()
