"""How a provider's count follows from ours, computed from pairs of both.

Two steps. First a line through the pairs that a few odd answers do not move: one factor, one overhead.
Then, where texts of more than one class are among them, a price for each class of text
(conversion/token_counts.py), by least squares of the relative errors. These are restrained in two ways: a
ridge draws each price towards the line's factor, so that a class that was hardly seen keeps it and
classes that always come together share what they cost; and distant pairs count for less in each round, so
that wrong numbers from a provider do not dominate. A result that is no closer than the line is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean, median
from typing import Final, NamedTuple

LEAST: Final = 0.5
MOST: Final = 4.0
# of a class: byte for byte, a vocabulary without Chinese takes 3 tokens where we count 0.72
LEAST_OF_CLASS: Final = 0.25
MOST_OF_CLASS: Final = 8.0
# fewer requests show neither overhead nor classes, and no template is longer
ENOUGH: Final = 10
LARGEST_OVERHEAD: Final = 300

# as much as one request of which a sixth is the class
_RIDGE: Final = 0.03
_OVERHEAD_UNIT: Final = 30
_ROUNDS: Final = 12
# a relative error counts in full up to this, or up to 1.5 times the usual one
_FULL_WEIGHT: Final = 0.03
# prompts must differ this much in length to show whether a count follows them
_LONGER: Final = 1.5
_MATRIX = list[list[float]]


class CountedRequest(NamedTuple):
    """One request: what our vocabulary counts, what the provider does, and the classes in ours."""

    ours: int
    real: int
    letters: int = 0
    cjk: int = 0

    @property
    def by_class(self) -> tuple[int, int, int]:
        """The rest, letters, ideographs: they add up to `ours`."""
        return self.ours - self.letters - self.cjk, self.letters, self.cjk


class Learnt(NamedTuple):
    """real = factor x (rest + letters x the letters + cjk x the ideographs) + overhead."""

    factor: float
    overhead: int = 0
    letters: float = 1.0
    cjk: float = 1.0

    def estimate(self, pair: CountedRequest) -> float:
        """The provider's count for `pair.ours`, as predicted."""
        rest, letters, cjk = pair.by_class
        return self.factor * (rest + self.letters * letters + self.cjk * cjk) + self.overhead

    def error(self, pair: CountedRequest) -> float:
        """How far that is off, as a share."""
        return abs(self.estimate(pair) / pair.real - 1)


def learnt_from(pairs: Sequence[CountedRequest]) -> Learnt:
    """What the pairs teach. `pairs`: one or more, with counts above 0.

    Numbers that are no token counts teach nothing: our own count stays.
    """
    if not _believable(pairs):
        return Learnt(1.0)
    line = _line(pairs)
    sound = [pair for pair in pairs if _sound(pair)]
    if len(sound) < ENOUGH or not any(pair.letters or pair.cjk for pair in sound):
        return line
    return min((line, _by_class(sound, line)), key=lambda learnt: _usual_error(learnt, pairs))


def _believable(pairs: Sequence[CountedRequest]) -> bool:
    """Whether the provider counts at all: an estimate that is too low is worse than one that is too high.

    A count grows with the text (some providers report one number for every prompt), and the usual one is not
    less than half of ours.
    """
    slopes = [
        (more.real - less.real) / (more.ours - less.ours)
        for one, other in combinations(pairs, 2)
        for less, more in [sorted((one, other))]
        if more.ours >= _LONGER * less.ours
    ]
    if slopes and median(slopes) < LEAST_OF_CLASS:
        return False
    return median(pair.real / pair.ours for pair in pairs) >= LEAST


def _sound(pair: CountedRequest) -> bool:
    """Whether any vocabulary could count like this."""
    return LEAST_OF_CLASS * pair.ours <= pair.real <= MOST_OF_CLASS * pair.ours + LARGEST_OVERHEAD


def _usual_error(learnt: Learnt, pairs: Sequence[CountedRequest]) -> float:
    return fmean(min(1.0, learnt.error(pair)) for pair in pairs)


def _line(pairs: Sequence[CountedRequest]) -> Learnt:
    """Theil and Sen's line.

    The slope is the median of the slopes between any two pairs, the overhead the median of the remainders,
    and the factor then the median ratio without the overhead.
    """
    overhead = 0
    if len(pairs) >= ENOUGH:
        slopes = [
            (more.real - less.real) / (more.ours - less.ours)
            for less, more in combinations(pairs, 2)
            if less.ours != more.ours
        ]
        if slopes:
            slope = median(slopes)
            overhead = _as_overhead(median(pair.real - slope * pair.ours for pair in pairs))
    factor = median((pair.real - overhead) / pair.ours for pair in pairs)
    return Learnt(round(_within(LEAST, factor, MOST), 4), overhead)


def _by_class(pairs: Sequence[CountedRequest], line: Learnt) -> Learnt:
    prices = [line.factor] * 3
    # the overhead is one more price, which each request pays equally
    found = _held(
        [[part / pair.real for part in (*pair.by_class, _OVERHEAD_UNIT)] for pair in pairs],
        [1.0] * len(pairs),
        [*prices, line.overhead / _OVERHEAD_UNIT],
    )
    overhead = _as_overhead(found[-1] * _OVERHEAD_UNIT)
    # again, now that it is within its bounds
    rest, letters, cjk = _held(
        [[part / pair.real for part in pair.by_class] for pair in pairs],
        [1 - overhead / pair.real for pair in pairs],
        prices,
    )
    factor = round(_within(LEAST, rest, MOST), 4)
    return Learnt(factor, overhead, *(round(_of_class(price) / factor, 4) for price in (letters, cjk)))


def _held(rows: _MATRIX, wanted: list[float], prior: list[float]) -> list[float]:
    """The x for which rows x is approximately `wanted`: ridge regression towards `prior`, with Huber's
    weights.
    """
    x = prior
    columns = list(zip(*rows, strict=True))
    for _ in range(_ROUNDS):
        errors = [abs(_product(row, x) - value) for row, value in zip(rows, wanted, strict=True)]
        full = max(_FULL_WEIGHT, 1.5 * median(errors))
        weights = [full / max(full, error) for error in errors]
        weighted = [
            [weight * value for weight, value in zip(weights, column, strict=True)] for column in columns
        ]
        x = _solved(
            [
                [_product(one, other) + _RIDGE * (i == j) for j, other in enumerate(columns)]
                for i, one in enumerate(weighted)
            ],
            [_product(one, wanted) + _RIDGE * before for one, before in zip(weighted, prior, strict=True)],
        )
    return x


def _product(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _solved(matrix: _MATRIX, right_side: list[float]) -> list[float]:
    """Gaussian elimination; with a ridge on its diagonal the matrix is positive definite, so no
    pivot is 0.
    """
    rows = [[*row, value] for row, value in zip(matrix, right_side, strict=True)]
    for at, pivot in enumerate(rows):
        for row in rows[at + 1 :]:
            share = row[at] / pivot[at]
            row[at:] = [value - share * above for value, above in zip(row[at:], pivot[at:], strict=True)]
    x: list[float] = []
    for at in reversed(range(len(rows))):
        *values, wanted = rows[at]
        x.insert(0, (wanted - _product(values[at + 1 :], x)) / values[at])
    return x


def _as_overhead(tokens: float) -> int:
    return round(_within(0, tokens, LARGEST_OVERHEAD))


def _of_class(price: float) -> float:
    return _within(LEAST_OF_CLASS, price, MOST_OF_CLASS)


def _within(least: float, value: float, most: float) -> float:
    return min(most, max(least, value))
