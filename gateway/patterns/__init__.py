"""The one place that compiles regular expressions; no other package imports `re`.

Most expressions read what clients, models and providers wrote. Python's engine backtracks: an
expression that can read one text in two ways may take days for 200 characters, and no other
thread runs meanwhile. So every expression here takes time in proportion to its text:

* a repetition is possessive or bounded, or what follows it begins with something else;
* "one thing and later another" is `in_order`, not `one.*another`;
* a search that may begin at many places does not look far from each of them.

`REGISTRY` holds every expression of the source, and a test times each on texts constructed
against it (`attacks`). `any_of` and `wildcard` are for texts that come at run time and are taken
literally. Expressions written by an admin are a different matter: they run in an engine that
cannot backtrack (`linear`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from re import ASCII, DOTALL, IGNORECASE, MULTILINE, Match, Pattern
from typing import Any, AnyStr, Final, Protocol

__all__ = [
    "ASCII",
    "DOTALL",
    "IGNORECASE",
    "MULTILINE",
    "REGISTRY",
    "Match",
    "MatchAt",
    "Pattern",
    "any_of",
    "compiled",
    "compiles",
    "in_order",
    "match_at",
    "wildcard",
]

# each expression of the source -> whether it is only matched at a given place, never searched for
REGISTRY: Final[dict[Pattern[Any], bool]] = {}


class MatchAt(Protocol[AnyStr]):
    """Pattern.match: the match that begins at `pos`, if there is one."""

    def __call__(self, string: AnyStr, pos: int = 0, /) -> Match[AnyStr] | None: ...


def compiled(regex: AnyStr, flags: int = 0) -> Pattern[AnyStr]:
    """An expression of the source: a module constant. It is registered, and timed by the tests."""
    pattern = re.compile(regex, flags)
    REGISTRY[pattern] = False
    return pattern


def match_at(regex: AnyStr, flags: int = 0) -> MatchAt[AnyStr]:
    """The same for an expression that may be slow to search for: it can only be matched."""
    pattern = re.compile(regex, flags)
    REGISTRY.setdefault(pattern, True)
    return pattern.match


def in_order(*parts: str, flags: int = 0) -> Pattern[str]:
    """Finds the parts one after another with anything between them; call `search` on the result.

    Each part but the last is taken where it first occurs, for good: `one.*another` would look for
    `another` to the end of the text from every `one`.
    """
    *before, last = parts
    if not before:
        return compiled(last, flags)
    steps = "".join(f"(?>(?s:.*?)(?:{part}))" for part in before)
    return compiled(rf"\A{steps}(?s:.*?)(?:{last})", flags)


def any_of(texts: Iterable[str]) -> Pattern[str]:
    """Finds the first of the texts, taken literally; of two at one place, the longer."""
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)))


# no pattern that means anything is longer; compiling takes time in proportion to it
_LONGEST_FOREIGN: Final = 2_000


def compiles(regex: str) -> bool:
    """Whether Python's engine knows an expression that somebody else wrote. It is never run."""
    if len(regex) > _LONGEST_FOREIGN:
        return False
    try:
        re.compile(regex)
    except (re.error, RecursionError, OverflowError, Warning):
        return False
    return True


@lru_cache(maxsize=1024)
def wildcard(text: str) -> Pattern[str]:
    """A text with `*` as an expression for fullmatch, ignoring case; group 1 is what the first `*` matched.

    Each inner `*` takes the shortest text and never backtracks.
    """
    first, *rest = (re.escape(part) for part in re.split(r"\*+", text))
    expression = first
    for number, part in enumerate(rest):
        star = "(.*" if number == 0 else "(?:.*"
        last = number == len(rest) - 1
        expression += f"{star}){part}" if last else f"(?>{star}?){part})"
    return re.compile(expression, re.IGNORECASE | re.DOTALL)
