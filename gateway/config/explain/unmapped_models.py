"""Names that clients asked for and no explicit mapping covers: typos, new models, missing rules."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db.models import Max, Sum

from gateway.config.snapshot.loader import load
from gateway.models import HourlyTotal
from gateway.models.history.hourly_total import OTHER
from gateway.routing.resolve import candidates
from gateway.routing.snapshot import ConfigSnapshot

_HOUR: Final = 3600
WEEK: Final = 7 * 24
MOST: Final = 50
LOOKED_AT: Final = 500


@dataclass(frozen=True)
class Unmatched:
    """`requests` in that time, the `last` hour with one; `catch_all`: the rule that took them, or ""."""

    name: str
    requests: int
    last: datetime
    catch_all: str


def unmatched_names(hours: int = WEEK) -> list[Unmatched]:
    """Most requested first. It reads hourly totals, so its cost does not depend on the number of requests."""
    first = int(time.time()) // _HOUR - hours + 1
    rows = (
        HourlyTotal.objects.filter(hour__gte=first)
        .exclude(asked_model__in=("", OTHER))
        .values_list("asked_model")
        .annotate(asked=Sum("requests"), last=Max("hour"))
        .order_by("-asked", "asked_model")[:LOOKED_AT]
    )
    if not rows:
        return []
    snapshot = load()
    found = []
    for name, asked, last in rows:
        catch_all = _taken_by(snapshot, name)
        if catch_all is not None:
            found.append(Unmatched(name, asked, datetime.fromtimestamp(last * _HOUR, UTC), catch_all))
    return found[:MOST]


def _taken_by(snapshot: ConfigSnapshot, name: str) -> str | None:
    """The catch-all rule, if it took the name; "" if none did; None when an explicit rule did."""
    winner = next((candidate.rule for candidate in candidates(snapshot, name) if candidate.won), None)
    if winner is None:
        return ""
    public = {public.casefold() for public in winner.public_names}
    return winner.pattern if set(winner.pattern) == {"*"} and name.casefold() not in public else None
