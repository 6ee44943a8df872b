"""Connections: how many there may be, how long each may take, and how much they may hold.

Anybody who reaches the port can open connections and send half requests. Each connection has a *slot*
here, to which both of our readers report what arrives (`head`, `whole_head`, `received`, `answering`,
`idle`). The slot knows its deadline and the bytes it holds, and ends the connection with an answer when
it exceeds a bound. One timer watches all deadlines, because a timer for each connection would take half
a kilobyte.

Bounds of one process (docs/operations.md, "Connections", has the reasons):

* connections in total, from one address, and without a complete head. A connection beyond a bound
  replaces the one that has been idle longest; when none is idle, the new one is refused.
* a head must be complete within HEAD_SECONDS, a body within BODY_SECONDS plus the time its size takes at
  SLOWEST_BODY.
* while an answer waits for its client, the client must read at SLOWEST_READER. Nothing else would end such a
  stream, because its end would wait for the client, too.
* bytes of incomplete bodies. When a budget is used up, the connection that holds most of it is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from ccproxy_site.server.connections.bounds import Bounds, ByteBudget, counted_address
from ccproxy_site.server.connections.slot import ConnectionSlot
from gateway.errors import Saturated

# seconds between two checks of the deadlines
LOOK_EVERY: Final = 2.5
# When the process stops: how long a new connection may take to its first byte, and between two looks.
FIRST_BYTE_SECONDS: Final = 1.0
ARRIVING_LOOK: Final = 0.02
FROM_ONE_ADDRESS: Final = "too many connections from your address"


class Connections:
    """All connections of a process; belongs to one event loop."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.with_key = ByteBudget(self.bounds.with_key)
        self.without_key = ByteBudget(self.bounds.without_key)
        self._open: set[ConnectionSlot] = set()
        self._closing: set[ConnectionSlot] = set()
        # the open ones
        self._of_address: dict[str, set[ConnectionSlot]] = {}
        # these two in the order in which they entered that state
        self._idle: dict[ConnectionSlot, None] = {}
        self._without_head: dict[ConnectionSlot, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open) + len(self._closing)

    def admit(self, transport: asyncio.Transport) -> ConnectionSlot:
        """A slot for a new connection.

        Refuses it, or closes others, when there are too many; `refused` says so.
        """
        loop = asyncio.get_running_loop()
        slot = ConnectionSlot(self, transport, loop, counted_address(transport.get_extra_info("peername")))
        if self._timer is None:
            self._timer = loop.call_later(LOOK_EVERY, self._look)
        bounds = self.bounds
        mine = self._of_address.setdefault(slot.address, set()) if slot.address is not None else set()
        if len(mine) >= bounds.of_one_address and not _room_made(self._idle, slot.address):
            slot.turn_away(FROM_ONE_ADDRESS)
        elif len(self._open) >= bounds.connections and not _room_made(self._idle):
            slot.turn_away("the gateway has too many connections")
        elif len(self._without_head) >= bounds.without_head:
            # an address with many connections loses its own first
            _room_made(self._without_head, slot.address) or _room_made(self._without_head)
        if not slot.refused:
            if slot.address is not None:
                # anew: whoever made room may have been the last of this address
                self._of_address.setdefault(slot.address, set()).add(slot)
            self._open.add(slot)
            self._idle[slot] = self._without_head[slot] = None
        return slot

    def begins_head(self, slot: ConnectionSlot) -> None:
        """It keeps its place among the idle ones: a byte now and then does not make it younger."""
        self._without_head.setdefault(slot)

    def has_head(self, slot: ConnectionSlot) -> None:
        self._idle.pop(slot, None)
        self._without_head.pop(slot, None)

    def is_idle(self, slot: ConnectionSlot) -> None:
        self._idle[slot] = None

    def counts_for(self, slot: ConnectionSlot, address: str) -> None:
        """A trusted proxy's connection brings a body of this client. Raises Saturated when there are too
        many.
        """
        mine = self._of_address.setdefault(address, set())
        if len(mine) >= self.bounds.of_one_address:
            raise Saturated(f"{FROM_ONE_ADDRESS}, try again in a moment")
        slot.address = address
        mine.add(slot)

    def counts_for_nobody(self, slot: ConnectionSlot) -> None:
        address, slot.address = slot.address, None
        mine = self._of_address.get(address) if address is not None else None
        if mine is not None:
            mine.discard(slot)
            if not mine:
                del self._of_address[address]  # type: ignore[arg-type]

    def closes(self, slot: ConnectionSlot) -> None:
        """It no longer counts, but may take some time."""
        self.has_head(slot)
        self._open.discard(slot)
        self._closing.add(slot)
        self.counts_for_nobody(slot)

    def gone(self, slot: ConnectionSlot) -> None:
        self.closes(slot)
        self._closing.discard(slot)

    async def arrived(self, seconds: float) -> None:
        """Wait until every request that is on its way has arrived or is refused, at most `seconds`.

        A client that has just connected may have sent its request already: without this wait a
        process that stops would close on it without an answer.
        """
        now = asyncio.get_running_loop().time
        began = now()
        # what was accepted a moment ago is no connection yet
        await asyncio.sleep(ARRIVING_LOOK)
        while now() < began + seconds and any(  # noqa: ASYNC110 (time passes, too)
            slot.is_arriving(began + FIRST_BYTE_SECONDS - now()) for slot in self._open
        ):
            await asyncio.sleep(ARRIVING_LOOK)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOK_EVERY, self._look) if len(self) else None
        now = loop.time()
        for slot in [slot for slot in (*self._open, *self._closing) if slot.deadline <= now]:
            slot.late()


def _room_made(slots: Iterable[ConnectionSlot], address: str | None = None) -> bool:
    """Close the first of these connections, or the first of this address; False when there is none."""
    for slot in slots:
        if address is None or slot.address == address:
            slot.make_room()
            return True
    return False
