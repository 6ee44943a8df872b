"""Alarm: a timer that re-reads its deadline when it fires, instead of being rescheduled.

Rescheduling a timer for each piece of a stream would cost more than the piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """`due`: when to ring, in the loop's time; it may move later at any moment. `ring`: what to do then."""

    __slots__ = ("_at", "_due", "_loop", "_ring", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, due: Callable[[], float], ring: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._due = due
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0

    def arm(self) -> None:
        """Start it, unless it is running and will fire early enough."""
        due = self._due()
        if self._timer is not None:
            if self._at <= due:
                return
            self._timer.cancel()
        self._at = due
        self._timer = self._loop.call_at(due, self._look)

    def cancel(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._due() <= self._loop.time():
            self._ring()
        else:
            self.arm()
