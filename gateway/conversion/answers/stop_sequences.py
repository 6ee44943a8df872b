"""Stop sequences the gateway watches itself (specification sections 2.5, 6.6)."""

from __future__ import annotations

from gateway import patterns


class StopScanner:
    """Finds the first stop sequence in a text that comes in pieces.

    `feed` returns what may be shown; the longest end that could still become a
    sequence is held back until `flush`. After a match `matched` names the
    sequence and nothing more is shown. The earliest match wins, of two at one
    place the longer.
    """

    __slots__ = ("_held", "_sequences", "_wanted", "matched")

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self._sequences = sequences
        self._wanted = patterns.any_of(sequences)
        self._held = ""
        self.matched: str | None = None

    def feed(self, text: str) -> str:
        if self.matched is not None:
            return ""
        text = self._held + text
        found = self._wanted.search(text)
        start = self._open_start(text)
        # a longer or earlier sequence may still be growing where a match was found
        if found is not None and (start is None or start > found.start()):
            return self._match(found, text)
        if start is None:
            self._held = ""
            return text
        self._held = text[start:]
        return text[:start]

    def flush(self) -> str:
        """No more text comes: what was held back, up to a match in it."""
        text, self._held = self._held, ""
        found = None if self.matched is not None else self._wanted.search(text)
        return text if found is None else self._match(found, text)

    def _match(self, found: patterns.Match[str], text: str) -> str:
        self.matched = found.group()
        self._held = ""
        return text[: found.start()]

    def _open_start(self, text: str) -> int | None:
        """Where the longest end of `text` starts that is a beginning of a sequence."""
        longest = max(len(sequence) for sequence in self._sequences) - 1
        for start in range(max(0, len(text) - longest), len(text)):
            end = text[start:]
            if any(len(sequence) > len(end) and sequence.startswith(end) for sequence in self._sequences):
                return start
        return None
