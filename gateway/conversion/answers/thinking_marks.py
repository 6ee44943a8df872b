"""Thinking that a model marks in its text, told from the answer (option `thinking_marks`).

Models that think write it between marks of their own (`<think>`, `[THINK]`, the channels of
harmony). A server that does not read them hands everything on as content. Marks are pairs of a
beginning and an end; one without an end is a token of the template, and means nothing here.

A block of thinking may begin where a sentence could: at the beginning of a text, behind another
block, behind the end of a line or a sentence. Anywhere else, and in Markdown code, a mark is a
word that the model writes about. In the middle of a text nobody knows whether a beginning is one
until its end has come, so what follows waits for it; without an end it is text.

An end without a beginning is left out where a block may begin, at the end of a line and in front of
another mark: its thinking came in a field of its own, or the template had opened it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Final

from gateway import patterns
from gateway.values import frozen

# a block may begin behind one of these and blanks
_SENTENCE_ENDS: Final = "\n.!?:;…。！？：；"
# characters of a piece that are read at once
_AT_ONCE: Final = 2048
# characters in front of a mark that are looked at
_NEAR: Final = 24


@frozen
class Marks:
    """`ends`: beginning -> its ends. `strays`: ends, and tokens without one. `firsts`: first characters.

    `begun`: what marks begin with, whole marks left out. `longest`: characters of the longest mark.
    """

    ends: Mapping[str, tuple[str, ...]]
    strays: frozenset[str]
    firsts: frozenset[str]
    begun: frozenset[str]
    longest: int
    every: patterns.Pattern[str]
    ends_of_first: tuple[str, ...]

    def held(self, text: str) -> int:
        """Where in `text` the longest end of it begins that may become a mark."""
        size = len(text)
        near = range(max(0, size - self.longest), size)
        return next((at for at in near if text[at:] in self.begun), size)


@lru_cache(maxsize=64)
def marks_of(pairs: tuple[tuple[str, str], ...]) -> Marks:
    """The marks that an option names; one for all answers."""
    ends: dict[str, tuple[str, ...]] = {}
    for begin, end in pairs:
        if begin and end:
            ends[begin] = (*ends.get(begin, ()), end)
    strays = frozenset({mark for pair in pairs for mark in pair} - {*ends, ""})
    every = (*ends, *strays)
    return Marks(
        ends,
        strays,
        frozenset(mark[0] for mark in every),
        frozenset(mark[:size] for mark in every for size in range(1, len(mark))),
        max(map(len, every)),
        patterns.any_of(every),
        next(iter(ends.values()), ()),
    )


class _Where(Enum):
    BEGIN = 0  # nothing was shown since a block began or ended
    VISIBLE = 1
    THINKING = 2
    ASSUMED = 3  # the template may have opened the thinking
    WAITING = 4  # in the middle of a text: thinking if its end comes


class MarkedThinking:
    """Splits a text that comes in pieces into (thinking, visible text).

    `opened`: the chat template has opened the thinking already (`think_open`), with the first mark of
    `pairs`; the text is held back until its end shows that it was thinking. `left_out`: a mark without a
    meaning was taken out.
    """

    __slots__ = (
        *("_before", "_ends", "_ends_of_words", "_fenced", "_kept", "_marks", "_newline", "_opened"),
        *("_opening", "_quoted", "_rest", "_ticks", "_where", "left_out"),
    )

    def __init__(self, pairs: tuple[tuple[str, str], ...], *, opened: bool = False) -> None:
        self._marks = marks_of(tuple((begin, end) for begin, end in pairs))
        self._opened = opened and bool(self._marks.ends_of_first)
        self._where = _Where.BEGIN
        self._rest = ""  # cannot be judged before more comes
        self._ends: tuple[str, ...] = ()  # of the thinking under way
        self._opening = ""
        self._kept: list[str] = []  # ASSUMED, WAITING: what may be thinking
        self._newline = False  # one behind a mark belongs to it
        self._before = ""  # the end of what was shown
        self._fenced = self._quoted = False  # in Markdown code
        self._ticks = 0  # backticks at the end of what was shown, of six none
        self._ends_of_words: set[str] = set()  # of beginnings that were none
        self.left_out = False

    def passes(self, text: str) -> bool:
        """Whether `text` is visible as it is, and has been told so: all that most pieces need."""
        if self._where is not _Where.VISIBLE or self._rest:
            return False
        for first in self._marks.firsts:
            if first in text:
                return False
        self._shown(text)
        return True

    def feed(self, text: str) -> tuple[str, str]:
        """(thinking, visible text) of a piece."""
        if self.passes(text):
            return "", text
        thinking: list[str] = []
        visible: list[str] = []
        # each mark copies what stands behind it, so that must not be the whole of a long piece
        at = 0
        while at < len(text):
            size = max(_AT_ONCE, len(self._rest))
            self._read(text[at : at + size], thinking, visible)
            at += size
        return "".join(thinking), "".join(visible)

    def _read(self, text: str, thinking: list[str], visible: list[str]) -> None:
        text, self._rest = self._rest + text, ""
        while text:
            match self._where:
                case _Where.BEGIN:
                    text = self._begin(text)
                case _Where.VISIBLE:
                    text = self._look(text, visible)
                case _:
                    text = self._think(text, thinking)

    def flush(self) -> tuple[str, str]:
        """The text is interrupted or over: everything that was held back."""
        where, rest = self._where, self._rest
        kept = "".join(self._kept)
        self._kept.clear()
        self._rest = self._before = ""
        self._where, self._opened, self._newline = _Where.BEGIN, False, False
        if where is _Where.THINKING:
            return rest, ""
        if where is _Where.VISIBLE and rest in self._marks.strays and rest not in self._ends_of_words:
            self.left_out = True
            return "", ""
        return "", (self._opening if where is _Where.WAITING else "") + kept + rest

    def _begin(self, text: str) -> str:
        if self._newline:
            text, self._newline = text.removeprefix("\n"), False
        start = text.lstrip()
        found = self._marks.every.match(start)
        if found is None:
            if not start or start in self._marks.begun:
                self._rest = text
            else:
                self._where = _Where.ASSUMED if self._opened else _Where.VISIBLE
                self._ends = self._marks.ends_of_first
            return "" if self._rest else text
        ends = self._marks.ends.get(found[0])
        if ends is not None:
            self._where, self._ends = _Where.THINKING, ends
        elif self._opened:
            self._where, self._ends = _Where.ASSUMED, self._marks.ends_of_first
            return start
        else:
            self.left_out = self._newline = True
        return start[found.end() :]

    def _think(self, text: str, thinking: list[str]) -> str:
        """Thinking, or what may be: as far as its end."""
        ends = [(at, end) for end in self._ends if (at := text.find(end)) >= 0]
        cut, end = min(ends, default=(len(text), ""))
        said, behind = text[:cut], text[cut + len(end) :]
        if not end:
            cut -= max(_overlap(said, end) for end in self._ends)
            said, self._rest = said[:cut], said[cut:]
        if self._where is _Where.THINKING:
            thinking.append(said)
        else:
            self._kept.append(said)
        if end:
            thinking += self._kept
            self._kept.clear()
            self._opened = False
            self._newline = self._where is not _Where.WAITING
            self._where = _Where.BEGIN if self._newline else _Where.VISIBLE
            self._before = ""
        return behind

    def _look(self, text: str, visible: list[str]) -> str:
        """Visible text as far as the next mark that means something."""
        found = self._marks.every.search(text)
        if found is None:
            cut = self._marks.held(text)
            self._rest = text[cut:]
            visible.append(text[:cut])
            self._shown(text[:cut])
            return ""
        mark, behind = found[0], text[found.end() :]
        visible.append(text[: found.start()])
        self._shown(visible[-1])
        if mark in self._ends_of_words:
            self._ends_of_words.discard(mark)
        elif not self._in_code:
            near = self._before.rstrip(" \t")
            begins = not near or near[-1] in _SENTENCE_ENDS
            ends = self._marks.ends.get(mark)
            if ends is not None and begins:
                self._where, self._ends, self._opening = _Where.WAITING, ends, mark
                return behind
            if ends is None and not begins and not behind:
                self._rest = mark  # what comes behind it decides
                return ""
            if ends is None and not begins and behind in self._marks.begun:
                self._rest = mark + behind
                return ""
            if ends is None and (begins or behind[0] == "\n"):
                self.left_out = True
                return behind
            if ends is None and self._marks.every.match(behind):
                self.left_out = True
                self._where, self._before = _Where.BEGIN, ""
                return behind
            if ends is not None:
                self._ends_of_words.update(ends)
        visible.append(mark)
        self._shown(mark)
        return behind

    def _shown(self, text: str) -> None:
        """Follow where the visible text is: which characters come last, and whether it is code."""
        if self._ticks or "`" in text or self._quoted:
            text = "`" * self._ticks + text
            front = text.rstrip("`")
            for number, line in enumerate(front.split("\n")):
                self._quoted = self._quoted and not number
                self._tick(line)
            # six are two fences, which change nothing
            self._ticks = (len(text) - len(front)) % 6
        self._before = (self._before + text)[-_NEAR:]

    def _tick(self, line: str) -> None:
        fences = line.count("```")
        self._fenced ^= bool(fences % 2)
        self._quoted ^= bool((line.count("`") - 3 * fences) % 2)

    @property
    def _in_code(self) -> bool:
        fences, single = divmod(self._ticks, 3)
        return self._fenced ^ bool(fences % 2) or self._quoted ^ bool(single % 2)


def _overlap(text: str, mark: str) -> int:
    """How many characters at the end of `text` may be the beginning of `mark`."""
    return next((size for size in range(len(mark) - 1, 0, -1) if text.endswith(mark[:size])), 0)
