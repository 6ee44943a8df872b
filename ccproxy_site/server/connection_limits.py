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
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ccproxy_site.forwarded import client_address, trusted_proxies
from ccproxy_site.public_path import PUBLIC_PATH
from ccproxy_site.server.connection_bounds import MB, Bounds, ByteBudget, ReadingProgress, counted_address
from ccproxy_site.server.error_answer import whole_error
from gateway.api.head import allowance
from gateway.errors import GatewayError, HeadTooLarge, RequestTimedOut, RequestTooLarge, Saturated
from gateway.security.client_networks import counted_as

# seconds between two checks of the deadlines
LOOK_EVERY: Final = 2.5
# Twisted's values: how long a connection may wait for its next request, and how long its end may take
IDLE_SECONDS: Final = 60.0
ABORT_SECONDS: Final = 15.0
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 30.0
# bytes per second
SLOWEST_BODY: Final = 100_000
# How often the progress of a client is checked that holds its stream back, and bytes per second that it
# must have read.
READ_SECONDS: Final = 60.0
SLOWEST_READER: Final = 1000
# After a refusal this much of a body is read and discarded, for this long: a client that is still
# sending would see a reset instead of the answer.
EXCESS: Final = 8 * MB
EXCESS_SECONDS: Final = 10.0
# When the process stops: how long a new connection may take to its first byte, and between two looks.
FIRST_BYTE_SECONDS: Final = 1.0
ARRIVING_LOOK: Final = 0.02
FROM_ONE_ADDRESS: Final = "too many connections from your address"
# What a chunk counts for at least: to read one of a byte takes as much CPU as this many bytes of a large one.
LEAST_CHUNK: Final = 1024


class ConnectionPhase(enum.Enum):
    """What a connection is doing."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    ANSWERING = enum.auto()
    # refused: whatever comes is discarded
    REFUSED = enum.auto()
    CLOSING = enum.auto()


# how long each of these may last while the client keeps up with reading
_READS: Final = {
    ConnectionPhase.ANSWERING: float("inf"),
    ConnectionPhase.IDLE: IDLE_SECONDS,
    ConnectionPhase.CLOSING: ABORT_SECONDS,
}


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


def _pairs(headers: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
    return ((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())


def _room_made(slots: Iterable[ConnectionSlot], address: str | None = None) -> bool:
    """Close the first of these connections, or the first of this address; False when there is none."""
    for slot in slots:
        if address is None or slot.address == address:
            slot.make_room()
            return True
    return False


class ConnectionSlot:
    """One connection as its bounds see it; its reader reports what arrives."""

    __slots__ = (
        "_budget",
        "_connections",
        "_dropped",
        "_loop",
        "_most",
        "_of_proxy",
        "_reading",
        "_rest",
        "_transport",
        "address",
        "deadline",
        "forget",
        "held",
        "phase",
        "used",
    )

    def __init__(
        self,
        connections: Connections,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        address: str | None,
    ) -> None:
        self._connections = connections
        self._transport = transport
        self._loop = loop
        # what the connection is counted as; for a trusted proxy only while a body arrives
        self.address = address
        self._of_proxy = address is None and bool(trusted_proxies())
        self.phase = ConnectionPhase.IDLE
        # whether a request has come on it
        self.used = False
        self.deadline = loop.time() + IDLE_SECONDS
        # the reader's: release what arrived of a refused request
        self.forget: Callable[[], None] | None = None
        # bytes of an incomplete body, and who counts them
        self.held = 0
        self._budget: ByteBudget | None = None
        # bytes of the body that are still to come (None: unknown), that may come at most, and that came
        # after a refusal
        self._rest: int | None = None
        self._most = 0
        self._dropped = 0
        # while more is written than the client reads
        self._reading: ReadingProgress | None = None

    @property
    def refused(self) -> bool:
        """The connection ends; its reader has nothing more to do with it."""
        return self.phase is ConnectionPhase.REFUSED or self.phase is ConnectionPhase.CLOSING

    def is_arriving(self, patience: float) -> bool:
        """Whether a request is on its way: a part of it is here, or the connection is new and there
        are still `patience` seconds to wait for its first byte."""
        if self.phase is ConnectionPhase.IDLE:
            return patience > 0 and not self.used
        return self.phase is ConnectionPhase.HEAD or self.phase is ConnectionPhase.BODY

    # --- what the readers tell ------------------------------------------------------------

    def head(self) -> None:
        """The first bytes of a request are here."""
        self.phase = ConnectionPhase.HEAD
        self.deadline = self._loop.time() + HEAD_SECONDS
        self._connections.begins_head(self)

    def whole_head(
        self,
        method: bytes,
        path: bytes,
        headers: Mapping[str, str],
        address: str,
        length: int | None,
        http_version: str = "1.1",
    ) -> bool:
        """The head is complete, and `length` bytes of body follow (None: chunked). Returns whether to keep
        it.

        `address` is the peer's; a trusted proxy's headers say whose request it is. The slot may be `refused`
        afterwards, as after `received`.
        """
        self.phase = ConnectionPhase.BODY
        self._rest = length
        self._connections.has_head(self)
        try:
            if self._of_proxy:
                address = client_address(address, _pairs(headers))
                self._connections.counts_for(self, counted_as(address))
            allowed = allowance(method, PUBLIC_PATH.within(path), headers, address, http_version)
        except GatewayError as error:
            self.refuse(error)
            return False
        self._most = allowed.most
        if length is not None and length > allowed.most:
            self.refuse(RequestTooLarge("Request exceeds the maximum size"))
            return False
        self.deadline = self._loop.time() + BODY_SECONDS + (length or 0) / SLOWEST_BODY
        if allowed.kept:
            connections = self._connections
            self._budget = connections.with_key if allowed.known else connections.without_key
        return allowed.kept

    def received(self, size: int) -> None:
        """This many bytes of the body came; of a chunked one in a piece of their own."""
        if self.refused:
            self.dropped(size)
            return
        if self._rest is None:
            self._most -= max(size, LEAST_CHUNK)
            self.deadline += size / SLOWEST_BODY
        else:
            self._most -= size
            self._rest -= size
        if self._budget is not None:
            self._budget.take(self, size)
        if self._most < 0:
            problem = "Request exceeds the maximum size"
            if self._rest is None:
                problem += ", or comes in too many small chunks"
            self.refuse(RequestTooLarge(problem))

    def answering(self) -> None:
        """The whole request is here."""
        self._give_back()
        if self._of_proxy:
            self._connections.counts_for_nobody(self)
        self.phase = ConnectionPhase.ANSWERING
        self.used = True
        self._connections.has_head(self)
        self.deadline = self._calm()

    def held_back(self) -> None:
        """More is written than the client reads; what writes the answer waits."""
        self._reading = ReadingProgress(self._transport)
        if self.phase is ConnectionPhase.ANSWERING:
            self.deadline = self._calm()

    def reads_on(self) -> None:
        """The client has read enough for the next part."""
        self._reading = None
        if self.phase in _READS:
            self.deadline = self._calm()

    def idle(self) -> None:
        """The answer is written; the next request may come."""
        if self.refused:
            return
        self.phase = ConnectionPhase.IDLE
        self.deadline = self._calm()
        self._connections.is_idle(self)

    def dropped(self, size: int) -> None:
        """This many bytes came after a refusal."""
        self._dropped += size
        if self.phase is ConnectionPhase.REFUSED and self._dropped >= min(EXCESS, self._rest or EXCESS):
            self.close()

    def gone(self) -> None:
        """The connection is lost."""
        self._give_back()
        self.phase = ConnectionPhase.CLOSING
        self.deadline = float("inf")
        self.forget = None
        self._connections.gone(self)

    # --- its end ------------------------------------------------------------------------------

    def refuse(self, error: GatewayError) -> None:
        """Answer an incomplete request, discard the rest of it, and close."""
        if self.refused:
            return
        in_head = isinstance(error, HeadTooLarge)
        waits = in_head or (self.phase is ConnectionPhase.BODY and self._rest != 0)
        self._let_go()
        self._transport.write(whole_error(error))
        if in_head and self._transport.can_write_eof():
            # how much more comes is not known: what tells the client of the end is this
            self._transport.write_eof()
        self.phase = ConnectionPhase.REFUSED
        self.deadline = self._loop.time() + EXCESS_SECONDS
        if not waits:
            self.close()

    def turn_away(self, problem: str) -> None:
        """There is no place for this connection."""
        self.phase = ConnectionPhase.HEAD
        self.refuse(Saturated(f"{problem}, try again in a moment"))

    def close(self) -> None:
        """Close once everything written has gone out, or after ABORT_SECONDS."""
        if self.phase is ConnectionPhase.CLOSING:
            return
        self._let_go()
        if self._reading is None:
            self._connections.closes(self)
        else:
            # a long answer may take its client long, so the connection counts until it is read
            self._connections.is_idle(self)
        self.phase = ConnectionPhase.CLOSING
        self.deadline = self._calm()
        self._transport.close()

    def make_room(self) -> None:
        """Close in favour of another connection: at once, even if the client has not read all of an
        answer.
        """
        self.close()
        self._connections.closes(self)
        if self._transport.get_write_buffer_size():
            self._transport.abort()

    def late(self) -> None:
        """The deadline has passed."""
        if self._reading is not None and self.phase in _READS:
            if self._reading.goes_on(READ_SECONDS * SLOWEST_READER):
                self.deadline = self._calm()
            else:
                self._transport.abort()
        elif self.phase is ConnectionPhase.CLOSING:
            self._transport.abort()
        elif self.phase is ConnectionPhase.HEAD:
            self.refuse(RequestTimedOut(f"the request's head took longer than {HEAD_SECONDS:.0f} seconds"))
        elif self.phase is ConnectionPhase.BODY:
            self.refuse(RequestTimedOut("the request's body took too long"))
        else:
            self.close()

    def _calm(self) -> float:
        """The deadline where nothing is expected of the client but to read what is written."""
        if self._reading is not None:
            return self._loop.time() + READ_SECONDS
        return self._loop.time() + _READS[self.phase]

    def _let_go(self) -> None:
        """Nothing of this request is needed any more."""
        self._give_back()
        self._connections.has_head(self)
        if self.forget is not None:
            self.forget()

    def _give_back(self) -> None:
        budget, self._budget = self._budget, None
        if budget is not None:
            budget.give_back(self)
