"""Silences: one timer looks at all connections, in place of one for each, which takes half a kilobyte."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

LOOK_EVERY: Final = 5.0


class Silent(Protocol):
    def look(self, now: float) -> None:
        """Look how long there was nothing; `now` is the loop's time."""
        ...


class Silences:
    """Looks at its connections every few seconds; belongs to one event loop."""

    def __init__(self) -> None:
        self._watched: set[Silent] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Silent) -> None:
        self._watched.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def discard(self, connection: Silent) -> None:
        self._watched.discard(connection)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOK_EVERY, self._look) if self._watched else None
        now = loop.time()
        for connection in tuple(self._watched):
            connection.look(now)
