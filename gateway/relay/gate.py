"""Gate: limits the exchanges of this process; those above the limit wait for a bounded time."""

from __future__ import annotations

import asyncio
from collections import deque

from gateway.errors import Saturated


class Gate:
    """`limit` None: no limit. `patience`: seconds for which an exchange waits for its turn.

    Call `leave` once for each `enter` that returned.
    """

    def __init__(self, limit: int | None = None, patience: float = 10.0) -> None:
        self._limit = limit
        self._patience = patience
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.inside = 0

    @property
    def waiting(self) -> int:
        """How many exchanges wait."""
        return sum(not turn.done() for turn in self._waiting)

    @property
    def full(self) -> bool:
        """Whether a newcomer has to wait."""
        return self._limit is not None and self.inside >= self._limit

    async def enter(self) -> None:
        """Take a place, waiting if necessary. Raises Saturated if none becomes free in time."""
        if not self.full:
            self.inside += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except TimeoutError:
            if _came(turn):
                # the place was given at the moment when the patience ended
                return
            raise Saturated(
                f"the gateway is busy with {self._limit} requests, try again in a moment"
            ) from None
        except asyncio.CancelledError:
            if _came(turn):
                # the place was given together with the cancellation: pass it on
                self.leave()
            raise

    def leave(self) -> None:
        """Free the place for whichever exchange has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.inside -= 1


def _came(turn: asyncio.Future[None]) -> bool:
    return turn.done() and not turn.cancelled()
