"""IdlePool: the connections that wait for their next exchange.

The most recently returned connection is reused first: its caches are warm, and the others age and
are closed. Nothing here depends on how many connections are busy.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.upstream.http1.connection import ConnectionOrigin, LeanConnection

IDLE_LIMIT: Final = 64
IDLE_EXPIRY: Final = 30.0


class IdlePool:
    """At most `limit` idle connections per origin, none idle for longer than `expiry` seconds."""

    def __init__(self, limit: int = IDLE_LIMIT, expiry: float = IDLE_EXPIRY) -> None:
        self._limit = limit
        self._expiry = expiry
        # oldest first; an origin without idle connections has no entry
        self._idle: dict[ConnectionOrigin, list[tuple[float, LeanConnection]]] = {}
        self._open: set[LeanConnection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many connections are open, busy ones included."""
        return len(self._open)

    def add(self, connection: LeanConnection) -> None:
        """Register a new connection that is about to be used."""
        self._open.add(connection)

    def take(self, origin: ConnectionOrigin) -> LeanConnection | None:
        """The most recently used connection, or None when none is usable."""
        while stack := self._idle.get(origin):
            since, connection = stack.pop()
            if not stack:
                del self._idle[origin]
            if connection.usable and _now() - since < self._expiry:
                return connection
            connection.abort()
        return None

    def idle(self, connection: LeanConnection) -> None:
        """Called by the connection when an answer is complete and another may follow."""
        stack = self._idle.setdefault(connection.origin, [])
        stack.append((_now(), connection))
        if len(stack) > self._limit:
            stack[0][1].abort()
        self._arm()

    def waiting(self, origin: ConnectionOrigin) -> int:
        """How many connections to it are idle."""
        return len(self._idle.get(origin, ()))

    def lost(self, connection: LeanConnection) -> None:
        """Called by the connection when it is closed."""
        self._open.discard(connection)
        stack = self._idle.get(connection.origin)
        if stack is None:
            return
        stack[:] = [entry for entry in stack if entry[1] is not connection]
        if not stack:
            del self._idle[connection.origin]

    def close(self) -> None:
        """Close every connection, busy or not."""
        for connection in list(self._open):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is None and self._idle:
            oldest = min(stack[0][0] for stack in self._idle.values())
            self._timer = asyncio.get_running_loop().call_at(oldest + self._expiry, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        limit = _now() - self._expiry
        for stack in list(self._idle.values()):
            for since, connection in list(stack):
                if since <= limit:
                    connection.abort()
        self._arm()


def _now() -> float:
    return asyncio.get_running_loop().time()
