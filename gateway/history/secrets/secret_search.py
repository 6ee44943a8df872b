"""Where secrets are in a text, within a budget of CPU time (pure but for the thread's clock).

Python's engine lets no other thread run while it searches, so a long text is searched in overlapping
windows. A secret that needs more than OVERLAP characters to be recognised is missed where two meet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from gateway.masking.kinds import SecretKind
from gateway.patterns import Match
from gateway.patterns import Pattern as Expression
from gateway.patterns.linear import LinearPattern

# characters; searching a window takes a few milliseconds at worst
WINDOW: Final = 128 * 1024
OVERLAP: Final = 16 * 1024
# CPU seconds. The largest answer that is kept, full of near-secrets, takes less.
TEXT_SECONDS: Final = 3.0
EXCHANGE_SECONDS: Final = 10.0

Span = tuple[int, int, str]


class OutOfTime(Exception):
    """Searching this text takes too long."""


class Work:
    """What searching the texts of one exchange may cost, and how many could not be searched.

    Call `begin` with each text and `check` now and then, which raises OutOfTime. Times are CPU seconds of
    this thread.
    """

    __slots__ = ("_clock", "_left", "_text", "_until", "whole")

    def __init__(
        self,
        text: float = TEXT_SECONDS,
        exchange: float = EXCHANGE_SECONDS,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._text, self._left, self._clock = text, exchange, clock
        self._until = 0.0
        # texts that are stored masked as a whole
        self.whole = 0

    def begin(self) -> None:
        self._until = self._clock() + min(self._text, self._left)

    def end(self) -> None:
        self._left = max(0.0, self._left - min(self._text, self._left) + self._until - self._clock())

    def check(self) -> None:
        if self._clock() > self._until:
            raise OutOfTime


def secrets_in(text: str, patterns: Sequence[SecretKind], work: Work) -> list[Span]:
    """(start, end, name) of each secret, ordered and disjoint.

    Two that overlap are one, named by the first of the patterns. Raises OutOfTime, also where a pattern
    cannot run.
    """
    work.begin()
    try:
        found = [
            (start, end, rank)
            for rank, pattern in enumerate(patterns)
            for start, end in _spans(text, pattern, work)
        ]
    finally:
        work.end()
    return [(start, end, patterns[rank].name) for start, end, rank in _joined(found)]


def may_hold(text: str, pattern: SecretKind, work: Work) -> bool:
    """Whether the pattern matches somewhere, or that cannot be determined in time."""
    work.begin()
    try:
        return next(_spans(text, pattern, work), None) is not None
    except OutOfTime:
        return True
    finally:
        work.end()


def _joined(found: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    if not found:
        return
    found.sort()
    start, end, rank = found[0]
    for other_start, other_end, other_rank in found[1:]:
        if other_start < end:
            end, rank = max(end, other_end), min(rank, other_rank)
        else:
            yield start, end, rank
            start, end, rank = other_start, other_end, other_rank
    yield start, end, rank


def _spans(text: str, pattern: SecretKind, work: Work) -> Iterator[tuple[int, int]]:
    finder = pattern.regex
    if finder is None:
        raise OutOfTime
    if isinstance(finder, Expression):
        spans = _in_windows(text, finder, work)
    elif isinstance(finder, LinearPattern):
        spans = finder.spans(text, work.check)
    else:
        spans = finder.spans(text)
    for number, (start, end) in enumerate(spans):
        if number & 15 == 15:
            work.check()
        if pattern.accepts(text[start:end]):
            yield start, end


def _in_windows(text: str, regex: Expression[str], work: Work) -> Iterator[tuple[int, int]]:
    group = 1 if regex.groups else 0
    if len(text) <= WINDOW:
        for match in regex.finditer(text):
            yield match.span(group)
        return
    for match in _matches(text, regex, work):
        yield match.span(group)


def _matches(text: str, regex: Expression[str], work: Work) -> Iterable[Match[str]]:
    place, length = 0, len(text)
    while place < length:
        work.check()
        end = min(length, place + WINDOW)
        match = regex.search(text, place, end)
        if match is None:
            if end == length:
                return
            place = end - OVERLAP
            continue
        while end < length and match.end() > end - OVERLAP:
            # it may continue behind the window
            work.check()
            end = min(length, end + (end - match.start()))
            match = regex.match(text, match.start(), end) or match
        yield match
        place = max(match.end(), place + 1)
