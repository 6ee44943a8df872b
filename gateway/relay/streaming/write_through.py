"""Write-through: a piece goes to the client's transport in the callback that brought it.

A server may offer a body that is written without waiting (`WriteThrough`). A stream that supports it
(`WritesThrough`) passes it whatever arrives while its iterator waits. Everything but plain pieces
still goes through the iterator: beginnings, ends, errors, keep-alives, and pieces for a slow client.
"""

from __future__ import annotations

from typing import Protocol


class WriteThrough(Protocol):
    """The server's side, for the pieces of one answer."""

    @property
    def held_back(self) -> bool:
        """Whether too much is waiting for the client, so that the iterator must supply the rest."""
        ...

    def write(self, piece: bytes) -> None: ...


class WritesThrough(Protocol):
    """The stream's side."""

    def write_through(self, body: WriteThrough) -> None:
        """From now on pieces may go to `body` instead of coming out of the iterator."""
        ...
