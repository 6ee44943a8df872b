"""What an answer has said so far: for estimates, citations, comparisons and the history's row."""

from __future__ import annotations

from typing import Final

from gateway.conversion.answers.growth import is_telling

# Pieces of a few characters are joined now and then: a string object is larger than its text.
_JOIN_AT: Final = 128
# a model may say so little twice in pieces
_SHORT: Final = 3


class Pieces:
    """A text that comes in pieces."""

    __slots__ = ("_joined", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._joined: list[str] = []

    def add(self, text: str) -> None:
        self._pieces.append(text)
        if len(self._pieces) > _JOIN_AT:
            self._joined.append("".join(self._pieces))
            self._pieces.clear()

    @property
    def text(self) -> str:
        return "".join(self._joined) + "".join(self._pieces)

    def is_again(self, text: str) -> bool:
        """Whether `text` is all of it once more, and not said twice by the model."""
        if text != self.text:
            return False
        several = len(self._pieces) + 2 * len(self._joined) > 1
        return is_telling(text) or (several and len(text) > _SHORT)


class Output:
    """Collects the model's output; output tokens are estimated from its `texts`."""

    __slots__ = ("_calls", "_text", "_thinking", "names", "text_length", "thinking_length")

    def __init__(self) -> None:
        self._text = Pieces()
        self._thinking = Pieces()
        self._calls: list[Pieces] = []
        self.names: list[str] = []  # tools called, in the provider's words
        self.text_length = 0
        self.thinking_length = 0

    def text(self, text: str) -> None:
        """Visible text."""
        self.text_length += len(text)
        self._text.add(text)

    def thinking(self, text: str) -> None:
        """Reasoning, whether the client sees it or not: it is paid for."""
        self.thinking_length += len(text)
        self._thinking.add(text)

    def call(self) -> Pieces:
        """A call begins: where the text of its arguments goes."""
        self._calls.append(Pieces())
        return self._calls[-1]

    @property
    def whole_text(self) -> str:
        """All visible text."""
        return self._text.text

    @property
    def whole_thinking(self) -> str:
        """All reasoning."""
        return self._thinking.text

    def repeated_text(self, text: str) -> bool:
        """Whether `text` is all of the visible text once more."""
        return len(text) == self.text_length and self._text.is_again(text)

    def repeated_thinking(self, text: str) -> bool:
        """Whether `text` is all of the reasoning once more."""
        return len(text) == self.thinking_length and self._thinking.is_again(text)

    @property
    def something(self) -> bool:
        """The model has said something."""
        return bool(self.text_length or self.thinking_length or self.names)

    @property
    def texts(self) -> list[str]:
        """Everything the model has said. Joined, they would be fewer tokens: two names would be one word."""
        return [self._thinking.text, self._text.text, *self.names, *(call.text for call in self._calls)]
