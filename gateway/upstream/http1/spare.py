"""SpareConnections: connections that are open before a request needs them (WARM_CONNECTIONS).

A provider that was asked within the last ten minutes has so many idle connections ready; one that ends
unused is replaced. So a request after a pause does not wait for a handshake.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import httpx

from gateway.upstream.http1.connection import ConnectionOrigin

logger = logging.getLogger("gateway.upstream")

# seconds after its last request for which an origin has spare connections
WARM_FOR: Final = 600.0
# between looks at what has ended unused
LOOK_EVERY: Final = 5.0
# after an attempt that failed the origin is left alone for so long
REST: Final = 30.0
CONNECT_TIMEOUT: Final = 10.0

Idle = Callable[[ConnectionOrigin], int]
OpenOne = Callable[[ConnectionOrigin, float], Awaitable[None]]


class SpareConnections:
    """At most `number` for each origin. `idle` says how many there are, `open_one` makes one more.

    Everything happens on the loop of the first call; `close` ends it.
    """

    def __init__(self, number: int, idle: Idle, open_one: OpenOne) -> None:
        self._number = number
        self._idle = idle
        self._open_one = open_one
        self._asked: dict[ConnectionOrigin, float] = {}
        self._resting: dict[ConnectionOrigin, float] = {}
        self._opening: dict[ConnectionOrigin, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def asked(self, origin: ConnectionOrigin) -> None:
        """A request is about to go there, or may soon."""
        if not self._number or origin.scheme != "https":
            return
        loop = asyncio.get_running_loop()
        self._asked[origin] = loop.time()
        if self._timer is None:
            # not now: the request comes first
            self._timer = loop.call_later(0.0, self._look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._number = 0
        for task in self._opening.values():
            task.cancel()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._asked = {origin: at for origin, at in self._asked.items() if now - at < WARM_FOR}
        self._resting = {origin: until for origin, until in self._resting.items() if now < until}
        for origin in self._asked:
            if origin not in self._resting and origin not in self._opening and self._lacks(origin):
                self._opening[origin] = loop.create_task(self._fill(origin))
        self._timer = loop.call_later(LOOK_EVERY, self._look) if self._asked else None

    def _lacks(self, origin: ConnectionOrigin) -> bool:
        return self._idle(origin) < self._number

    async def _fill(self, origin: ConnectionOrigin) -> None:
        try:
            for _ in range(self._number):
                if self._lacks(origin):
                    await self._open_one(origin, CONNECT_TIMEOUT)
        except (httpx.TransportError, OSError, ValueError) as problem:
            # whoever asks hears the same, and why
            self._resting[origin] = asyncio.get_running_loop().time() + REST
            logger.debug("no spare connection", extra={"host": origin.host, "problem": str(problem)})
        finally:
            self._opening.pop(origin, None)
