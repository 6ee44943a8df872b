"""The straight way of a piece: from the callback that brought it to the client's transport.

A server may offer a body that is written without waiting (`WriteThrough`). A stream
that can (`WritesThrough`) then hands it what arrives while its iterator waits. All
that is no plain piece still goes through the iterator: beginnings, ends, errors,
signs of life, and pieces for a client that is slow.
"""

from __future__ import annotations

from typing import Protocol


class WriteThrough(Protocol):
    """The server's side, from the first piece of an answer to its last."""

    @property
    def held_back(self) -> bool:
        """More waits for the client than should: write no more, let the iterator give it."""
        ...

    def write(self, piece: bytes) -> None: ...


class WritesThrough(Protocol):
    """The stream's side."""

    def write_through(self, body: WriteThrough) -> None:
        """From now on pieces may go to `body` instead of coming out of the iterator."""
        ...
