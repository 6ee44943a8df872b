"""A share with its interval: how far the true share may be from what a sample shows."""

from __future__ import annotations

from typing import NamedTuple

from gateway.history.outcomes import intervals


class Share(NamedTuple):
    """`part` of `whole`, and Wilson's interval with 95 % confidence. Without a whole it may be anything."""

    part: int
    whole: int

    @property
    def share(self) -> float | None:
        return self.part / self.whole if self.whole else None

    @property
    def interval(self) -> tuple[float, float]:
        """Its lower and upper bound, from 0 to 1."""
        if not self.whole:
            return 0.0, 1.0
        found = intervals.share(self.part, self.whole)
        return found.low, found.high
