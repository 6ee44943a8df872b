"""How sure a figure is: intervals that contain the true value nineteen times out of twenty (pure).

They take requests as independent of each other. Those of one session are not quite, so the true interval of
a figure from few sessions is somewhat wider.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final, NamedTuple

from gateway.history.totals.dashboard import quantile

# of the normal distribution: 95 % lie between -Z and Z
Z: Final = 1.959963984540054
# below this number nothing can be concluded
LEAST: Final = 30


class Estimate(NamedTuple):
    """A value between `low` and `high`, from `number` requests, calls, prompts or sessions.

    `value` is None when there is nothing to divide by.
    """

    value: float | None
    low: float
    high: float
    number: int

    @property
    def too_few(self) -> bool:
        """Whether nothing should be concluded from it."""
        return self.number < LEAST

    def differs_from(self, other: Estimate) -> bool:
        """Whether both tell enough, and their intervals have nothing in common."""
        if self.too_few or other.too_few or self.value is None or other.value is None:
            return False
        return self.low > other.high or self.high < other.low


NOTHING: Final = Estimate(None, 0.0, 0.0, 0)


def share(part: int, whole: int) -> Estimate:
    """A share, with Wilson's interval. A part that is larger than the whole is the whole."""
    if whole <= 0:
        return NOTHING
    rate = min(max(part, 0), whole) / whole
    spread = Z * Z / whole
    middle = (rate + spread / 2) / (1 + spread)
    half = Z * sqrt(rate * (1 - rate) / whole + spread / (4 * whole)) / (1 + spread)
    # rounding may put an end a hair's breadth inside
    return Estimate(rate, max(0.0, min(rate, middle - half)), min(1.0, max(rate, middle + half)), whole)


def ratio(number: int, x: float, y: float, xx: float, yy: float, xy: float) -> Estimate:
    """The ratio of two sums over `number` things, from these sums and those of squares and products.

    The interval is the normal one of the linearised ratio; with y = 1 for each, that is the usual one of a
    mean.
    """
    if number <= 0 or y <= 0:
        return NOTHING
    value = x / y
    if number == 1:
        return Estimate(value, value, value, number)
    residual = max(0.0, xx - 2 * value * xy + value * value * yy)
    half = Z * sqrt(number / (number - 1) * residual) / y
    return Estimate(value, max(0.0, value - half), value + half, number)


def mean(number: int, x: float, xx: float) -> Estimate:
    """A mean, with the normal interval."""
    return ratio(number, x, number, xx, number, x)


def rate(events: int, number: int) -> Estimate:
    """How many events each of `number` things has, with Byar's interval of a Poisson count."""
    if number <= 0:
        return NOTHING
    events = max(events, 0)
    low = events * (1 - 1 / (9 * events) - Z / (3 * sqrt(events))) ** 3 if events else 0.0
    above = events + 1
    high = above * (1 - 1 / (9 * above) + Z / (3 * sqrt(above))) ** 3
    return Estimate(events / number, max(0.0, low) / number, high / number, number)


def median(counts: Sequence[int]) -> Estimate:
    """The median of times in FIRST_BYTE_BOUNDS' buckets, in milliseconds, with the interval of its rank."""
    number = sum(counts)
    if number <= 0:
        return NOTHING
    spread = Z / (2 * sqrt(number))
    value, low, high = (quantile(counts, at) for at in (0.5, max(0.0, 0.5 - spread), min(1.0, 0.5 + spread)))
    return Estimate(value, low or 0.0, high or 0.0, number)
