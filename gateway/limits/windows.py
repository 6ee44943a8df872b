"""Windows of time for limits (pure): minutes that slide, and days, weeks and months of UTC.

A sliding minute is this minute's counter plus the remaining share of the last one: twenty
seconds into a minute, two thirds of the previous minute still count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

MINUTE: Final = 60
DAY_SECONDS: Final = 86_400
DAY: Final = "day"
WEEK: Final = "week"
MONTH: Final = "month"
PERIODS: Final = (DAY, WEEK, MONTH)
ADVERBS: Final = {DAY: "daily", WEEK: "weekly", MONTH: "monthly"}


@dataclass(frozen=True, slots=True)
class Minute:
    """The minute that `now` (Unix seconds) is in. `number` counts minutes since 1970."""

    number: int
    elapsed: float

    @classmethod
    def at(cls, now: float) -> Minute:
        number = int(now // MINUTE)
        return cls(number, now - number * MINUTE)

    @property
    def ends(self) -> int:
        """Unix seconds."""
        return (self.number + 1) * MINUTE

    def used(self, this: int, last: int) -> float:
        """How much of a limit is used, from the counters of this minute and the one before."""
        # rounded, so that a float's fraction does not push a limit that is just reached over it
        return round(this + last * (1 - self.elapsed / MINUTE), 6)

    def wait(self, this: int, last: int, limit: int) -> float:
        """Seconds until `used` is at most `limit` if nothing is added; at most two minutes."""
        if self.used(this, last) <= limit:
            return 0.0
        if this <= limit:
            # within this minute, as the last one fades
            return MINUTE * (1 - (limit - this) / last) - self.elapsed
        # within the next one, as this one fades
        return (MINUTE - self.elapsed) + MINUTE * (1 - max(0, limit) / this)


@dataclass(frozen=True, slots=True)
class Period:
    """A day, week (from Monday) or month of UTC: its first moment, and the first one after it."""

    kind: str
    start: datetime
    end: datetime

    @classmethod
    def at(cls, kind: str, now: float) -> Period:
        """The period of `kind` (PERIODS) that `now` (Unix seconds) is in."""
        moment = datetime.fromtimestamp(now, UTC)
        start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        if kind == DAY:
            return cls(kind, start, start + timedelta(days=1))
        if kind == WEEK:
            start -= timedelta(days=start.weekday())
            return cls(kind, start, start + timedelta(weeks=1))
        start = start.replace(day=1)
        return cls(kind, start, (start + timedelta(days=32)).replace(day=1))

    @property
    def ends(self) -> int:
        """Unix seconds."""
        return int(self.end.timestamp())


def whole_seconds(seconds: float, *, most: int) -> int:
    """For retry-after: at least 1, at most `most`."""
    return min(most, max(1, math.ceil(seconds)))
