"""Expressions that an admin writes, in an engine that cannot go back: RE2. Nobody else imports it.

RE2 takes time in proportion to the text, whatever the expression, and lets other threads run
meanwhile. What it cannot do so (look-around, back references) it refuses. It is loaded with the
first such expression, because most gateways have none. There are no wheels of it for every
system, so it may be missing; then there is no expression, and never one in Python's own engine.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, Final

# bytes that one expression may take for its automata
_MEMORY: Final = 8 * 1024 * 1024


class NotLinear(ValueError):
    """An expression that cannot be run: `str` says why, in the engine's words."""


class EngineMissing(NotLinear):
    """No expression can be run: the engine is not installed."""


class LinearPattern:
    """One expression. Raises NotLinear, EngineMissing."""

    __slots__ = ("_pattern", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        try:
            # by name: an import in the middle of a function stays forbidden
            re2: Any = importlib.import_module("re2")
        except ImportError:
            raise EngineMissing("google-re2 is not installed") from None
        if "{," in source:
            # Python takes this for "up to", RE2 for the characters
            raise NotLinear("a repetition needs its least number: {0,9}")
        options = re2.Options()
        options.max_mem, options.log_errors = _MEMORY, False
        try:
            self._pattern = re2.compile(source.encode(), options)
        except (re2.error, UnicodeEncodeError) as problem:
            raise NotLinear(_said(problem)) from None

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the expression matches in `text`: group 1 where it has one, else the whole; not empty ones.

        One at a time: between two of them the caller may stop.
        """
        data = text.encode("utf-8", "surrogatepass")
        group = 1 if self._pattern.groups else 0
        plain, place, characters = len(data) == len(text), 0, 0
        for match in self._pattern.finditer(data):
            start, end = match.span(group)
            if start >= end:
                continue
            if plain:
                yield start, end
                continue
            # counted on from the match before; a byte that continues a character is none itself
            characters += _characters(data[place:start])
            length = _characters(data[start:end])
            yield characters, characters + length
            characters, place = characters + length, end

    def matches(self, text: str) -> bool:
        return self._pattern.search(text.encode("utf-8", "surrogatepass")) is not None


def _said(problem: Exception) -> str:
    words = problem.args[0] if problem.args else ""
    return words.decode("utf-8", "replace") if type(words) is bytes else str(problem)


def _characters(data: bytes) -> int:
    return len(data.decode("utf-8", "surrogatepass"))
