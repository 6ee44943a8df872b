"""Which clients and working folders the totals distinguish: the first few of each day.

Clients can make up both. New versions and new folders come every week, so the bound is for a day (UTC) and
not for good; what comes after it counts together as OTHER. The decision for an exchange is stored in its row
(`folded`), like that for model names (history/totals/counted_names.py). Processes that meet new names at the
same moment may go over the bound by one each.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from operator import add
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from gateway.history.outcome import OPEN
from gateway.history.totals.contributions import DAY, FOLDED_ORIGIN, hour_of, origins
from gateway.history.totals.costs import CHARGED
from gateway.history.totals.hourly import AT_ONCE, add_origins
from gateway.models import DailyOrigin, HourlyOrigin
from gateway.models.history.hourly_total import OTHER, OriginKind, OriginTotal

# names that one day tells apart
MOST: Final = {OriginKind.CLIENT.value: 100, OriginKind.FOLDER.value: 300}
# days of which a process remembers the names: today, and yesterday's late rows
_DAYS: Final = 3

_Place = tuple[int, str]


class CountedOrigins:
    """The names that this process knows to be counted, by day and kind."""

    def __init__(self) -> None:
        self._known: dict[_Place, frozenset[str]] = {}
        self._lock = threading.Lock()

    def fold(self, rows: Iterable[dict[str, Any]]) -> None:
        """Decide for rows of RequestLog, by column, that are about to be written; adds to their `folded`.

        Inside the caller's transaction, which counts them.
        """
        met: dict[_Place, set[str]] = {}
        for row in rows:
            if row["state"] == OPEN or row["endpoint"] not in CHARGED:
                continue
            hour = hour_of(row["started_at"])
            for kind, name in origins(row["client"], row["folder"]):
                place = hour - hour % DAY, kind
                if name in self._known.get(place, ()):
                    continue
                names = met.get(place)
                if names is None:
                    names = met[place] = self._stored(place)
                if name not in names and len(names) >= MOST[kind]:
                    row["folded"] |= FOLDED_ORIGIN[kind]
                else:
                    names.add(name)
        if met:
            # not before the commit: a rolled-back name is not counted
            transaction.on_commit(partial(self._know, met))

    def forget(self) -> None:
        """Forget everything, as after the database was replaced."""
        with self._lock:
            self._known = {}

    def _stored(self, place: _Place) -> set[str]:
        known = self._known.get(place, frozenset())
        if len(known) >= MOST[place[1]]:
            # no other process can have made room
            return set(known)
        names = DailyOrigin.objects.filter(hour=place[0], kind=place[1]).exclude(name=OTHER)
        return {*known, *names.order_by().values_list("name", flat=True).distinct()}

    def _know(self, met: dict[_Place, set[str]]) -> None:
        with self._lock:
            known = {**self._known, **{place: frozenset(names) for place, names in met.items()}}
            days = sorted({day for day, _kind in known})[-_DAYS:]
            self._known = {place: names for place, names in known.items() if place[0] in days}


def forget_folders(owner_id: int, also: Iterable[str] = ()) -> None:
    """Count the folders of a user together, in the caller's transaction: the numbers stay, the names go.

    They go where they are nobody's, too, with those in `also`: what was asked again of somebody's requests
    has no owner.
    """
    for table in (HourlyOrigin, DailyOrigin):
        named = table.objects.filter(kind=OriginKind.FOLDER).exclude(name=OTHER)
        names = named.filter(owner_id=owner_id).order_by().values_list("name", flat=True).distinct()
        theirs = named.filter(Q(owner_id=owner_id) | Q(owner_id=0, name__in=[*names, *also]))
        pks: list[int] = []
        sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0] * len(OriginTotal.NUMBERS))
        rows: Any = theirs.select_for_update().values_list("pk", "hour", "owner_id", *table.NUMBERS)
        for pk, hour, owner, *numbers in rows:
            pks.append(pk)
            sums[hour, owner] = list(map(add, sums[hour, owner], numbers))
        for start in range(0, len(pks), AT_ONCE):
            table.objects.filter(pk__in=pks[start : start + AT_ONCE]).delete()
        folder = OriginKind.FOLDER.value
        others: list[tuple[str | int, ...]] = [
            (hour, folder, OTHER, owner, *told) for (hour, owner), told in sorted(sums.items())
        ]
        add_origins(table, others)


counted_origins = CountedOrigins()
