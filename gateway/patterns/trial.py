"""An expression written by an admin is tried before it is accepted, on texts constructed against it."""

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
# CPU seconds for one text of SIZE
LONGEST_TRIAL: Final = 2.0
# A single search cannot be stopped, and a large expression takes 4 s for one window of `linear`. So each
# text is tried short first, and only the worst are tried longer: (characters, how many texts).
_ROUNDS: Final = ((1_000, 400), (10_000, 20), (100_000, 3), (SIZE, 1))
# Seconds for one text of a shorter round. The engine needs some to get ready, whatever the length.
_LONGEST_SHORT: Final = 0.4
# Somebody is waiting for the form. Seconds of CPU time, and of wall-clock time for a busy machine.
_LONGEST_IN_ALL: Final = 4.0
_PATIENCE: Final = 15.0
# Many matches cost time for each, which is not the expression's fault. One that looks to the end of the
# text from each of them is too slow long before that.
_MOST_MATCHES: Final = 20_000
# characters
_LONGEST_RECIPE: Final = 20_000


class TooSlow(ValueError):
    """A text constructed against the expression takes more than LONGEST_TRIAL per SIZE characters."""


def matches_empty(source: str) -> bool:
    """Whether the expression matches the empty text. Raises NotLinear, EngineMissing."""
    return LinearPattern(source).matches("")


def check_speed(source: str) -> None:
    """Try the expression on texts that nearly match. Raises NotLinear, EngineMissing, TooSlow.

    Texts for which the time does not suffice are left out: masking has a time budget as well.
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
    # RE2 has its own syntax for some things
    with contextlib.suppress(re.error, RecursionError, OverflowError):
        found += recipes_of(source)
    return [one for one in found if len(one.begin) + len(one.repeated) <= _LONGEST_RECIPE]


def _seconds(pattern: LinearPattern, text: str, longest: float) -> float:
    """Seconds to find the matches; stops soon after `longest`."""
    began = time.thread_time()

    def check() -> None:
        if time.thread_time() - began > longest:
            raise TooSlow

    for _ in islice(pattern.spans(text, check), _MOST_MATCHES):
        check()
    return time.thread_time() - began
