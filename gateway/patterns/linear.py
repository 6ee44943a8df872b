"""Expressions written by an admin, in an engine that cannot backtrack: RE2. No other module imports it.

RE2 takes time in proportion to the text, whatever the expression, and lets other threads run
meanwhile. It refuses what it cannot do that way (look-around, back references). It is loaded with
the first such expression, because most gateways have none. It has no wheels for some systems, so
it may be missing; then such an expression does not run at all, and never in Python's own engine.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any, Final

# bytes that the automata of one expression may take
_MEMORY: Final = 8 * 1024 * 1024
# bytes; a match that needs more than _OVERLAP of context is missed where two windows meet
_WINDOW: Final = 64 * 1024
_OVERLAP: Final = 16 * 1024


def _nothing() -> None:
    pass


class NotLinear(ValueError):
    """An expression that cannot run: `str` says why, in the engine's words."""


class EngineMissing(NotLinear):
    """No expression can run: the engine is not installed."""


class LinearPattern:
    """One expression. Raises NotLinear, EngineMissing."""

    __slots__ = ("_pattern", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        try:
            # imported by name, because an import inside a function is not allowed
            re2: Any = importlib.import_module("re2")
        except ImportError:
            raise EngineMissing("google-re2 is not installed") from None
        if "{," in source:
            # Python reads this as "up to", RE2 as literal characters
            raise NotLinear("a repetition needs its least number: {0,9}")
        options = re2.Options()
        options.max_mem, options.log_errors = _MEMORY, False
        try:
            self._pattern = re2.compile(source.encode(), options)
        except (re2.error, UnicodeEncodeError) as problem:
            raise NotLinear(_said(problem)) from None

    def spans(self, text: str, between: Callable[[], None] = _nothing) -> Iterator[tuple[int, int]]:
        """Where the expression matches in `text`: group 1 where it has one, else the whole; no empty matches.

        The caller may stop between two matches. A single search cannot be stopped, so a long text is
        searched in overlapping windows; before each of them `between` is called, which may raise.
        """
        data = text.encode("utf-8", "surrogatepass")
        group = 1 if self._pattern.groups else 0
        plain, place, characters = len(data) == len(text), 0, 0
        for match in self._matches(data, between):
            start, end = match.span(group)
            if start >= end:
                continue
            if plain:
                yield start, end
                continue
            # counted on from the previous match; a continuation byte is not a character of its own
            characters += _characters(data[place:start])
            length = _characters(data[start:end])
            yield characters, characters + length
            characters, place = characters + length, end

    def _matches(self, data: bytes, between: Callable[[], None]) -> Iterator[Any]:
        place, window = 0, _WINDOW
        while True:
            between()
            end = min(len(data), place + window)
            start, window = place, _WINDOW
            for match in self._pattern.finditer(data, place, end):
                if end < len(data) and match.end() > end - _OVERLAP:
                    # the match may go on behind the window, or be a different one there
                    place = match.start()
                    window = 2 * (end - start) if place == start else _WINDOW
                    break
                yield match
                place = max(match.end(), match.start() + 1)
            else:
                place = max(place, end - _OVERLAP)
            if end == len(data):
                return

    def matches(self, text: str) -> bool:
        return self._pattern.search(text.encode("utf-8", "surrogatepass")) is not None


def _said(problem: Exception) -> str:
    words = problem.args[0] if problem.args else ""
    return words.decode("utf-8", "replace") if type(words) is bytes else str(problem)


def _characters(data: bytes) -> int:
    return len(data.decode("utf-8", "surrogatepass"))
