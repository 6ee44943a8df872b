"""Which tools the totals tell apart, so that names made up by clients or models cannot create endless rows.

The first LIMIT names are counted by name, all others together as OTHER. What a request was counted under is
kept with it, so it is counted off the same way whatever is decided later.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Final

from django.db import transaction

from gateway.history.outcomes.attribution import Sums
from gateway.history.outcomes.turn_facts import LONGEST_NAME
from gateway.history.statements import Statement
from gateway.models import CountedTool
from gateway.models.history.hourly_total import OTHER

LIMIT: Final = 300

_PUT: Final = Statement("INSERT INTO gateway_countedtool (name) VALUES (%s) ON CONFLICT (name) DO NOTHING")


class CountedTools:
    """The names that this process knows to be counted. For any thread."""

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def admitted(self, wanted: frozenset[str]) -> frozenset[str]:
        """Admit what there is room for, inside the caller's transaction; returns the counted names."""
        if wanted <= self._names or len(self._names) >= LIMIT:
            return self._names
        stored = set(CountedTool.objects.values_list("name", flat=True))
        new = sorted(wanted - stored)[: max(0, LIMIT - len(stored))]
        _PUT.many([(name,) for name in new])
        names = frozenset(stored.union(new))
        # not before the commit: a name that is rolled back is not counted
        transaction.on_commit(partial(self._know, names))
        return names

    def forget(self) -> None:
        """Forget everything, as after the database was replaced."""
        self._know(frozenset())

    def _know(self, names: frozenset[str]) -> None:
        with self._lock:
            self._names = names


counted_tools = CountedTools()


def folded(sums: Sums) -> Sums:
    """The sums with the tools that are not told apart under one name."""
    wanted = frozenset(_storable(tool) for _, tool in sums.tools)
    if not wanted:
        return sums
    names = counted_tools.admitted(wanted)
    told = Sums()
    told.of = sums.of
    for (slot, tool), numbers in sums.tools.items():
        name = _storable(tool)
        kept = told.tools.setdefault((slot, name if name in names else OTHER), {})
        for number, value in numbers.items():
            kept[number] = kept.get(number, 0) + value
    return told


def _storable(tool: str) -> str:
    """A name as both databases take it: PostgreSQL refuses NUL, and neither takes half a surrogate pair."""
    return tool.replace("\x00", "").encode("utf-8", "replace").decode()[:LONGEST_NAME]
