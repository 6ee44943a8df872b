"""What an answer has said so far: for estimates, citations and the audit row."""

from __future__ import annotations

from typing import Final

# Pieces of a few characters are joined now and then: a string object is larger than its text.
_JOIN_AT: Final = 128


class Output:
    """Collects the model's output; `everything` is what output tokens are estimated from."""

    __slots__ = ("_joined", "_pieces", "_text", "text_length", "thinking_length")

    def __init__(self, *, keep_text: bool = False) -> None:
        self._pieces: list[str] = []
        self._joined: list[str] = []
        self._text: list[str] | None = [] if keep_text else None
        self.text_length = 0
        self.thinking_length = 0

    def text(self, text: str) -> None:
        """Visible text."""
        self.text_length += len(text)
        if self._text is not None:
            self._text.append(text)
        self._pieces.append(text)
        if len(self._pieces) > _JOIN_AT:
            self._join()

    def thinking(self, text: str) -> None:
        """Reasoning, whether the client sees it or not: it is paid for."""
        self.thinking_length += len(text)
        self._pieces.append(text)
        if len(self._pieces) > _JOIN_AT:
            self._join()

    def call(self, name: str, arguments: str) -> None:
        """A tool call or a fragment of one."""
        self._pieces.append(name + arguments)
        if len(self._pieces) > _JOIN_AT:
            self._join()

    def arguments(self, arguments: str) -> None:
        """More of the arguments of a call."""
        self._pieces.append(arguments)
        if len(self._pieces) > _JOIN_AT:
            self._join()

    @property
    def whole_text(self) -> str:
        """All visible text; empty unless asked for with keep_text."""
        return "".join(self._text or ())

    @property
    def everything(self) -> str:
        return "".join(self._joined) + "".join(self._pieces)

    def _join(self) -> None:
        self._joined.append("".join(self._pieces))
        self._pieces.clear()
