"""An expression that an admin writes is tried before it is taken: on texts made against it."""

from __future__ import annotations

import contextlib
import re
import time
from itertools import islice
from operator import itemgetter
from typing import Final

from gateway.patterns.attacks import Recipe, plain_recipes_of, recipes_of
from gateway.patterns.linear import LinearPattern

SIZE: Final = 1_000_000
# seconds of CPU for one text of SIZE
LONGEST_TRIAL: Final = 2.0
# Nothing stops one search of the engine, and with a large expression it takes 4 s for a window of
# `linear`. So each text is tried short first, and only the worst are tried longer: (characters, how
# many texts).
_ROUNDS: Final = ((1_000, 400), (10_000, 20), (100_000, 3), (SIZE, 1))
# Seconds for one text of a shorter round. The engine needs some to get ready, whatever the length.
_LONGEST_SHORT: Final = 0.4
# Somebody waits for the form. Seconds of CPU, and of the clock: the machine may be busy.
_LONGEST_IN_ALL: Final = 4.0
_PATIENCE: Final = 15.0
# Many matches cost their number, which is no fault of the expression. One that looks to the end of
# the text for each of them is too slow long before.
_MOST_MATCHES: Final = 20_000
# characters
_LONGEST_RECIPE: Final = 20_000


class TooSlow(ValueError):
    """A text that is made against the expression takes more than LONGEST_TRIAL per SIZE characters."""


def matches_empty(source: str) -> bool:
    """Whether the expression matches a text with nothing in it. Raises NotLinear, EngineMissing."""
    return LinearPattern(source).matches("")


def check_speed(source: str) -> None:
    """Try the expression on texts that nearly match. Raises NotLinear, EngineMissing, TooSlow.

    What the time does not suffice for is not tried: masking has a budget as well.
    """
    pattern = LinearPattern(source)
    used, clock = time.thread_time(), time.monotonic()
    recipes = _recipes(source)
    for size, most in _ROUNDS:
        longest = LONGEST_TRIAL if size == SIZE else _LONGEST_SHORT
        timed: list[tuple[float, Recipe]] = []
        for recipe in recipes[:most]:
            if time.thread_time() - used > _LONGEST_IN_ALL or time.monotonic() - clock > _PATIENCE:
                return
            timed.append((_seconds(pattern, recipe.text(size), longest), recipe))
        timed.sort(key=itemgetter(0), reverse=True)
        recipes = [recipe for _, recipe in timed]


def _recipes(source: str) -> list[Recipe]:
    found = plain_recipes_of(source)
    # RE2 has a writing of its own for some things
    with contextlib.suppress(re.error, RecursionError, OverflowError):
        found += recipes_of(source)
    return [one for one in found if len(one.begin) + len(one.repeated) <= _LONGEST_RECIPE]


def _seconds(pattern: LinearPattern, text: str, longest: float) -> float:
    """What finding the matches takes; it stops soon after `longest`."""
    began = time.thread_time()

    def check() -> None:
        if time.thread_time() - began > longest:
            raise TooSlow

    for _ in islice(pattern.spans(text, check), _MOST_MATCHES):
        check()
    return time.thread_time() - began
