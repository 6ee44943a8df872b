"""Patterns of rules against shell commands: narrowly for what may run, widely for what must not.

A pattern that allows is the words of one simple command. A star within a word stands for any letters, except
those that lead out of a folder or make it an option; a star that is the last word stands for any further
words, except options that reach further than their program (`options`).

A pattern that forbids fits wherever its words stand: behind wrappers, in chains, with options in between, and
whatever folder the program is named with.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from gateway.safeguards.options import reaches_further
from gateway.safeguards.shell import (
    BREAK,
    PatternWord,
    forbidden_words,
    literal_words,
    loose_words,
    pattern_words,
)

_REST: Final[PatternWord] = ("", "")
# more letters after one dash are one option, as those of find
_LONGEST_GROUP: Final = 3


class Command:
    """A shell command, which is read once for all rules. `ignores_case`: so do the machine's file names."""

    def __init__(self, text: str, *, ignores_case: bool) -> None:
        self._text = text
        self._ignores_case = ignores_case
        self._literal: list[str] | None = None
        self._is_read = False
        self._loose: _Loose | None = None

    def is_allowed_by(self, pattern: str) -> bool:
        """Whether the command is a simple one, and that of the pattern."""
        if not self._is_read:
            self._literal, self._is_read = literal_words(self._text), True
        wanted = pattern_words(pattern)
        return self._literal is not None and wanted is not None and _is_that_of(wanted, self._literal)

    def may_be_that_of(self, pattern: str) -> bool:
        """Whether the words of a pattern stand somewhere in it, or it is too long to look."""
        if self._loose is None:
            self._loose = _Loose(self._text, ignores_case=self._ignores_case)
        return self._loose.has(pattern)


def _is_that_of(wanted: Sequence[PatternWord], words: Sequence[str]) -> bool:
    more = wanted[-1] == _REST
    fixed = wanted[:-1] if more else wanted
    if len(words) < len(fixed) or (len(words) > len(fixed) and not more):
        return False
    program = words[0]
    return all(_is_word(one, word, program) for one, word in zip(fixed, words, strict=False)) and not any(
        reaches_further(program, word) for word in words[len(fixed) :]
    )


def _is_word(wanted: PatternWord, word: str, program: str) -> bool:
    """Whether a word is that of a pattern, and its stars neither step out of a folder nor add an option."""
    first = wanted[0]
    if len(wanted) == 1:
        return first == word
    if word.count("..") != sum(piece.count("..") for piece in wanted) or not pieces_fit(wanted, word):
        return False
    if not first:
        return not word.startswith("-") and not reaches_further(program, word)
    return "=" in first or not reaches_further(program, word)


def pieces_fit(pieces: Sequence[str], text: str) -> bool:
    """Whether the whole text is these pieces with any letters between them; in linear time."""
    first, *others = pieces
    if not others:
        return first == text
    *middle, last = others
    if not text.startswith(first):
        return False
    place = len(first)
    for piece in middle:
        found = text.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    return len(text) - len(last) >= place and text.endswith(last)


def glob(pattern: str, text: str) -> bool:
    """Whether the whole text is that of a pattern in which `*` stands for any letters; in linear time."""
    return pieces_fit(pattern.split("*"), text)


class _Loose:
    """The loose words of a command, and where each of them stands."""

    def __init__(self, text: str, *, ignores_case: bool) -> None:
        self._ignores_case = ignores_case
        words = loose_words(text)
        self._too_long = words is None
        self._words = words or []
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        # of options by their names, and by each letter of a group of letters
        self._named: defaultdict[str, list[int]] = defaultdict(list)
        self._found: dict[str, list[int]] = {}
        self._breaks: list[int] = []
        for place, word in enumerate(self._words):
            if word == BREAK:
                self._breaks.append(place)
                continue
            for form in self._forms(word):
                self._places[form].append(place)
            if word.startswith("--"):
                self._named[word.partition("=")[0]].append(place)
            elif word.startswith("-"):
                for letter in set(word[1:]):
                    self._named[letter].append(place)

    def _forms(self, word: str) -> set[str]:
        """A word as it is, without folders, and without the ending of a Windows program."""
        if word.startswith("-"):
            return {word}
        if self._ignores_case:
            word = word.casefold()
        base = word.rstrip("/").rpartition("/")[2]
        return {word, base, base.removesuffix(".exe")}

    def has(self, pattern: str) -> bool:
        wanted = forbidden_words(pattern)
        if wanted[-1:] == ("*",):
            wanted = wanted[:-1]
            if not wanted:
                return True
        if not wanted:
            return False
        if self._too_long:
            return True
        if not all(self._places_of(one) for one in wanted if not one.startswith("-")):
            return False
        # places from where the rest was looked for in vain; so all looking takes linear time
        tried: set[tuple[int, int]] = set()
        return any(self._follow(wanted, place + 1, tried) for place in self._places_of(wanted[0]))

    def _places_of(self, wanted: str) -> list[int]:
        """Where a word of a pattern stands, in order."""
        if self._ignores_case and not wanted.startswith("-"):
            wanted = wanted.casefold()
        if "*" not in wanted:
            return self._places.get(wanted, [])
        if wanted not in self._found:
            places = {place for form, at in self._places.items() if glob(wanted, form) for place in at}
            self._found[wanted] = sorted(places)
        return self._found[wanted]

    def _stands_at(self, wanted: str, place: int) -> bool:
        return _has(self._places_of(wanted), place, place + 1)

    def _follow(self, wanted: Sequence[str], place: int, tried: set[tuple[int, int]]) -> bool:
        """Whether the words behind the first follow from `place` on.

        An option may stand anywhere in the rest of its command. Before any other word, options may stand
        that the pattern does not name, each with one word that may be its value.
        """
        words = self._words
        left = [(1, place)]
        while left:
            number, place = left.pop()
            if number == len(wanted):
                return True
            if (number, place) in tried:
                continue
            tried.add((number, place))
            one = wanted[number]
            if one.startswith("-"):
                if self._has_option(one, place):
                    left.append((number + 1, place))
                continue
            if place >= len(words):
                continue
            if words[place] == BREAK:
                left.append((number, place + 1))
            elif words[place].startswith("-"):
                left.append((number, place + 1))
                if place + 1 < len(words) and not words[place + 1].startswith(("-", BREAK)):
                    left.append((number, place + 2))
            if self._stands_at(one, place):
                left.append((number + 1, place + 1))
        return False

    def _has_option(self, wanted: str, place: int) -> bool:
        next_break = bisect_left(self._breaks, place)
        end = self._breaks[next_break] if next_break < len(self._breaks) else len(self._words)
        if _has(self._places_of(wanted), place, end):
            return True
        letters = wanted[1:]
        if wanted.startswith("--"):
            return "=" not in wanted and _has(self._named.get(wanted, []), place, end)
        return 0 < len(letters) <= _LONGEST_GROUP and all(
            _has(self._named.get(letter, []), place, end) for letter in letters
        )


def _has(places: Sequence[int], first: int, end: int) -> bool:
    """Whether one of the places, which are in order, is from `first` on and before `end`."""
    found = bisect_left(places, first)
    return found < len(places) and places[found] < end
