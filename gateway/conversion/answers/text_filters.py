"""What becomes of the upstream's content on its way to the client.

Think tags are split off, a repeated prefill is removed, local stop sequences
are watched, and nulls invented by strict schemas are taken out again. Every
step works on pieces and holds back what it cannot decide yet; a whole message
is one piece.

See docs/conversion.md, "Showing thinking", "Stop sequences", "Prefill" and "Structured output".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from gateway.conversion.context import AnswerContext
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
        # places count from the beginning of the text: as far as it was fed, and as far as it was shown
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
        # where the longest end starts that is a beginning of a sequence
        start = self._seen - max(begun.length for begun in self._begun)
        # a longer or earlier sequence may still be growing where a match was found
        if self._first is not None and (start == self._seen or start > self._first[0]):
            return self._match(self._first)
        return self._shown(start)

    def flush(self) -> str:
        """No more text comes: what was held back, up to a match in it."""
        if self.matched is not None:
            return ""
        return self._shown(self._seen) if self._first is None else self._match(self._first)

    def _match(self, first: tuple[int, int, str]) -> str:
        start, _, self.matched = first
        shown = self._shown(start)
        self._held.clear()
        return shown

    def _shown(self, end: int) -> str:
        """What is held back as far as `end`."""
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
    """How much of one sequence the text ends with (the algorithm of Knuth, Morris and Pratt).

    `length`: of the longest end of the text that is a beginning of the sequence, and not all of it.
    """

    __slots__ = ("_shorter", "length", "sequence")

    def __init__(self, sequence: str) -> None:
        self.sequence = sequence
        self.length = 0
        # For a beginning of n characters, the length of the next shorter one it ends with; known as far
        # as a text has come, because a sequence may be long.
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


_CLOSING: Final = "</think>"
# how models mark their thinking
_MARKS: Final = {
    "<think>": _CLOSING,
    "<reasoning>": "</reasoning>",  # gpt-oss at Bedrock
    "<mm:think>": "</mm:think>",  # MiniMax
    "[THINK]": "[/THINK]",  # Magistral
}
_AT_START: Final = (*_MARKS, *_MARKS.values())


class VisibleText:
    """Splits content into (thinking, visible text)."""

    __slots__ = ("_nulls", "_prefill", "_stops", "_tags")

    def __init__(self, context: AnswerContext) -> None:
        places = context.profile.reasoning_in
        self._tags = (
            ThinkTags(opened="think_open" in places) if {"think_tags", "think_open"} & set(places) else None
        )
        self._prefill = PrefillEcho(context.prefill) if context.prefill else None
        self._stops = StopScanner(context.local_stops) if context.local_stops else None
        self._nulls = InventedNulls(context.nullable_paths) if context.nullable_paths is not None else None

    @property
    def plain(self) -> bool:
        """Nothing happens to the text at all."""
        return self._tags is None and self._prefill is None and self._stops is None and self._nulls is None

    @property
    def settled(self) -> bool:
        """Nothing more happens to the text: what follows is visible as it is."""
        return (
            self._stops is None
            and self._nulls is None
            and (self._tags is None or self._tags.settled)
            and (self._prefill is None or self._prefill.settled)
        )

    @property
    def matched(self) -> str | None:
        """The local stop sequence that was met."""
        return None if self._stops is None else self._stops.matched

    def feed(self, text: str) -> tuple[str, str]:
        thinking = ""
        if self._tags is not None:
            thinking, text = self._tags.feed(text)
        for step in (self._prefill, self._stops, self._nulls):
            if step is not None and text:
                text = step.feed(text)
        return thinking, text

    def flush(self) -> tuple[str, str]:
        """The text is interrupted or over: give everything that was held back."""
        thinking = text = ""
        if self._tags is not None:
            thinking, text = self._tags.flush()
        for step in (self._prefill, self._stops, self._nulls):
            if step is not None:
                text = (step.feed(text) if text else "") + step.flush()
        return thinking, text


class ThinkTags:
    """A leading `<think>...</think>` in the content is thinking; so is what other marks enclose.

    A closing tag in front of everything is no text: its thinking came in a field of its own.
    With `opened` the chat template has opened the tag already; the text is held back until
    the closing tag shows that it was thinking.
    """

    __slots__ = ("_assumed", "_closing", "_held", "_opened", "_stage")

    def __init__(self, *, opened: bool) -> None:
        self._opened = opened
        self._stage = "start"
        self._closing = _CLOSING
        self._held = ""
        self._assumed: list[str] = []

    @property
    def settled(self) -> bool:
        """No tag is looked for any more."""
        return self._stage == "visible"

    def feed(self, text: str) -> tuple[str, str]:
        if self._stage == "visible":
            return "", text
        text = self._held + text
        self._held = ""
        if self._stage == "start":
            start = text.lstrip()
            if any(tag.startswith(start) for tag in _AT_START):
                self._held = text
                return "", ""
            mark = next((tag for tag in _AT_START if start.startswith(tag)), "")
            if mark in _MARKS:
                self._stage, self._closing = "thinking", _MARKS[mark]
                text = start.removeprefix(mark)
            elif mark and not self._opened:
                self._stage = "behind"
                text = start.removeprefix(mark)
            else:
                self._stage = "assumed" if self._opened else "visible"
        if self._stage == "behind":
            return "", self._behind(text)
        if self._stage == "visible":
            return "", text
        thinking, tag, rest = text.partition(self._closing)
        if not tag:
            keep = len(text) - _overlap(text, self._closing)
            thinking, self._held = text[:keep], text[keep:]
        if self._stage == "assumed":
            self._assumed.append(thinking)
            thinking = ""
        if not tag:
            return thinking, ""
        thinking = thinking or "".join(self._assumed)
        self._assumed.clear()
        self._stage = "behind"
        return thinking, self._behind(rest)

    def flush(self) -> tuple[str, str]:
        held = "".join(self._assumed) + self._held
        self._assumed.clear()
        self._held = ""
        return (held, "") if self._stage == "thinking" else ("", held)

    def _behind(self, text: str) -> str:
        """One newline behind the tag belongs to it."""
        if not text:
            return ""
        self._stage = "visible"
        return text.removeprefix("\n")


class PrefillEcho:
    """Removes a verbatim repetition of the prefill at the beginning of an answer.

    See docs/conversion.md, "Prefill".
    """

    __slots__ = ("_held", "_prefill")

    def __init__(self, prefill: str) -> None:
        self._prefill: str | None = prefill
        self._held = ""

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


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of `text` may be the beginning of `tag`."""
    return next((size for size in range(len(tag) - 1, 0, -1) if text.endswith(tag[:size])), 0)
