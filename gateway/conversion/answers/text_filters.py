"""What becomes of the upstream's content on its way to the client.

Marked thinking is split off, a repeated prefill is removed, local stop sequences
are watched, and nulls invented by strict schemas are taken out again. Every
step works on pieces and holds back what it cannot decide yet; a whole message
is one piece.

See docs/conversion.md, "Showing thinking", "Stop sequences", "Prefill" and "Structured output".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from gateway.conversion import repairs
from gateway.conversion.answers.thinking_marks import MarkedThinking
from gateway.conversion.context import AnswerContext
from gateway.conversion.ledger import Ledger
from gateway.conversion.tools.strict_schemas import without_invented_nulls


class StopScanner:
    """Finds the first stop sequence in a text that comes in pieces.

    `feed` returns what may be shown; the longest end that could still become a
    sequence is held back until `flush`. After a match `matched` names the
    sequence and nothing more is shown. The earliest match wins, of two at one
    place the longer.

    Each character is looked at once for each sequence, however long that is and
    however the text is cut: clients choose the one, models write the other.
    """

    __slots__ = ("_begun", "_first", "_held", "_seen", "_told", "matched")

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self._begun = [_Begun(sequence) for sequence in sequences]
        # positions count from the beginning of the text: how far it was fed, and how far it was shown
        self._seen = self._told = 0
        self._held: deque[str] = deque()
        # (start, minus the length, sequence) of the match that wins so far
        self._first: tuple[int, int, str] | None = None
        self.matched: str | None = None

    def feed(self, text: str) -> str:
        if self.matched is not None or not text:
            return ""
        for begun in self._begun:
            for end in begun.feed(text):
                length = len(begun.sequence)
                match = (self._seen + end - length, -length, begun.sequence)
                self._first = match if self._first is None else min(self._first, match)
        self._held.append(text)
        self._seen += len(text)
        # where the longest suffix starts that could become a sequence
        start = self._seen - max(begun.length for begun in self._begun)
        # a longer or earlier sequence may still be growing where a match was found
        if self._first is not None and (start == self._seen or start > self._first[0]):
            return self._match(self._first)
        return self._shown(start)

    def flush(self) -> str:
        """No more text comes: returns what was held back, up to a match in it."""
        if self.matched is not None:
            return ""
        return self._shown(self._seen) if self._first is None else self._match(self._first)

    def _match(self, first: tuple[int, int, str]) -> str:
        start, _, self.matched = first
        shown = self._shown(start)
        self._held.clear()
        return shown

    def _shown(self, end: int) -> str:
        """The held-back text as far as `end`."""
        held, shown = self._held, []
        while self._told < end:
            piece = held.popleft()
            if self._told + len(piece) > end:
                held.appendleft(piece[end - self._told :])
                piece = piece[: end - self._told]
            shown.append(piece)
            self._told += len(piece)
        return "".join(shown)


class _Begun:
    """How much of one sequence the text ends with (the Knuth-Morris-Pratt algorithm).

    `length`: of the longest suffix of the text that is a proper prefix of the sequence.
    """

    __slots__ = ("_shorter", "length", "sequence")

    def __init__(self, sequence: str) -> None:
        self.sequence = sequence
        self.length = 0
        # For a prefix of n characters, the length of the next shorter one it ends with; known only as far as
        # a
        # text has come, because a sequence may be long.
        self._shorter = [0, 0]

    def feed(self, text: str) -> Iterator[int]:
        """The end in `text` of each whole sequence."""
        sequence, shorter, length, place = self.sequence, self._shorter, self.length, 0
        first, whole = sequence[0], len(sequence)
        while place < len(text):
            if not length:
                place = text.find(first, place)
                if place < 0:
                    break
            character = text[place]
            while length and sequence[length] != character:
                length = shorter[length]
            if sequence[length] == character:
                length += 1
                if length == len(shorter):
                    shorter.append(self._next_shorter(character))
                if length == whole:
                    yield place + 1
                    length = shorter[length]
            place += 1
        self.length = length

    def _next_shorter(self, character: str) -> int:
        sequence, shorter = self.sequence, self._shorter
        length = shorter[-1]
        while length and sequence[length] != character:
            length = shorter[length]
        return length + (sequence[length] == character)


class VisibleText:
    """Splits content into (thinking, visible text)."""

    __slots__ = ("_marked", "_nulls", "_prefill", "_stops")

    def __init__(self, context: AnswerContext) -> None:
        places = context.profile.reasoning_in
        self._marked = (
            MarkedThinking(context.profile.thinking_marks, opened="think_open" in places)
            if context.profile.thinking_marks and {"think_tags", "think_open"} & set(places)
            else None
        )
        self._prefill = PrefillEcho(context.prefill) if context.prefill else None
        self._stops = StopScanner(context.local_stops) if context.local_stops else None
        self._nulls = InventedNulls(context.nullable_paths) if context.nullable_paths is not None else None

    @property
    def plain(self) -> bool:
        """Nothing happens to the text at all."""
        return self._marked is None and self._prefill is None and self._stops is None and self._nulls is None

    @property
    def settled(self) -> bool:
        """Nothing more happens to the text: what follows is visible as it is."""
        return (
            self._marked is None
            and self._stops is None
            and self._nulls is None
            and (self._prefill is None or self._prefill.settled)
        )

    @property
    def only_marks(self) -> bool:
        """Nothing happens to the text but that marks are looked for."""
        return (
            self._marked is not None
            and self._stops is None
            and self._nulls is None
            and (self._prefill is None or self._prefill.settled)
        )

    def passes(self, text: str) -> bool:
        """With `only_marks`: whether `text` is visible as it is; nothing more is to be done with it then."""
        return self._marked is not None and self._marked.passes(text)

    def note_repairs(self, ledger: Ledger) -> None:
        """Tell the ledger what was taken out of the text beside thinking. Call it when the text has ended."""
        if self._marked is not None and self._marked.left_out:
            ledger.repair(repairs.MARKS)
        if self._prefill is not None and self._prefill.echoed:
            ledger.repair(repairs.PREFILL_REPEATED)

    @property
    def matched(self) -> str | None:
        """The local stop sequence that was met."""
        return None if self._stops is None else self._stops.matched

    def feed(self, text: str) -> tuple[str, str]:
        thinking = ""
        if self._marked is not None:
            thinking, text = self._marked.feed(text)
        for step in (self._prefill, self._stops, self._nulls):
            if step is not None and text:
                text = step.feed(text)
        return thinking, text

    def flush(self) -> tuple[str, str]:
        """The text is interrupted or over: return everything that was held back."""
        thinking = text = ""
        if self._marked is not None:
            thinking, text = self._marked.flush()
        for step in (self._prefill, self._stops, self._nulls):
            if step is not None:
                text = (step.feed(text) if text else "") + step.flush()
        return thinking, text


class PrefillEcho:
    """Removes a verbatim repetition of the prefill at the beginning of an answer.

    See docs/conversion.md, "Prefill".
    """

    __slots__ = ("_held", "_prefill", "echoed")

    def __init__(self, prefill: str) -> None:
        self._prefill: str | None = prefill
        self._held = ""
        self.echoed = False

    @property
    def settled(self) -> bool:
        """The beginning has been seen."""
        return self._prefill is None

    def feed(self, text: str) -> str:
        if self._prefill is None:
            return text
        self._held += text
        if len(self._held) < len(self._prefill) and self._prefill.startswith(self._held):
            return ""
        self.echoed = self._held.startswith(self._prefill)
        return self._release(self._held.removeprefix(self._prefill))

    def flush(self) -> str:
        return self._release(self._held)

    def _release(self, text: str) -> str:
        self._prefill = None
        self._held = ""
        return text


class InventedNulls:
    """Holds the whole text back, because nulls can only be judged in a whole JSON text.

    See docs/conversion.md, "Structured output".
    """

    __slots__ = ("_paths", "_text")

    def __init__(self, paths: tuple[tuple[str, ...], ...]) -> None:
        self._paths = paths
        self._text: list[str] = []

    def feed(self, text: str) -> str:
        self._text.append(text)
        return ""

    def flush(self) -> str:
        text = "".join(self._text)
        self._text.clear()
        return without_invented_nulls(text, self._paths) if text else ""
