"""Names of models: the spellings a client uses, and patterns with `*`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_WINDOW_SUFFIX: Final = re.compile(r"(?:\[1m\])+\Z", re.IGNORECASE)
_DATE_SUFFIX: Final = re.compile(r"-(?:19|20)[0-9]{6}\Z")


def without_window(name: str) -> str:
    """Without `[1m]` at the end, which Claude Code adds to ask for the long context window."""
    return _WINDOW_SUFFIX.sub("", name)


def plain_spellings(asked: str) -> tuple[str, ...]:
    """The name as asked, without `[1m]`, and also without a date suffix `-YYYYMMDD`; no doubles."""
    bare = without_window(asked)
    return _different(asked, bare, _DATE_SUFFIX.sub("", bare))


def spellings(asked: str) -> tuple[str, ...]:
    """All spellings that are looked up, in order: the plain ones, then those without a prefix `provider/`."""
    plain = plain_spellings(asked)
    return _different(*plain, *(name.partition("/")[2] for name in plain if "/" in name))


def is_wildcard(pattern: str) -> bool:
    return "*" in pattern


@lru_cache(maxsize=1024)
def wildcard(pattern: str) -> re.Pattern[str]:
    """The pattern as an expression for fullmatch, case ignored; group 1 is what the first `*` matched.

    Each inner `*` takes the shortest text and gives nothing back (an atomic group),
    so a hostile name cannot make the match slow.
    """
    first, *rest = (re.escape(part) for part in re.split(r"\*+", pattern))
    expression = first
    for number, part in enumerate(rest):
        star = "(.*" if number == 0 else "(?:.*"
        last = number == len(rest) - 1
        expression += f"{star}){part}" if last else f"(?>{star}?){part})"
    return re.compile(expression, re.IGNORECASE | re.DOTALL)


def matches(pattern: str, name: str) -> bool:
    """Whether an exact name or pattern means this name; case is ignored."""
    if is_wildcard(pattern):
        return wildcard(pattern).fullmatch(name) is not None
    return pattern.casefold() == name.casefold()


def _different(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))
