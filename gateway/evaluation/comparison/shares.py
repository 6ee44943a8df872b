"""A share with its interval: how far the true share may be from what a sample shows."""

from __future__ import annotations

from math import sqrt
from typing import Final, NamedTuple

# standard deviations; 95 of 100 such intervals contain the true share
_Z: Final = 1.959964


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
        n = self.whole
        if not n:
            return 0.0, 1.0
        p = self.part / n
        middle = (p + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
        half = _Z * sqrt(p * (1 - p) / n + _Z * _Z / (4 * n * n)) / (1 + _Z * _Z / n)
        return max(0.0, middle - half), min(1.0, middle + half)
