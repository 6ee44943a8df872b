"""Connections: how many there may be, how long each may take, and how much they may hold.

Whoever reaches the port can open connections and send half requests. Each connection has a
*slot* here, which both of our readers tell what arrives (`head`, `whole_head`, `received`,
`answering`, `idle`). The slot knows its deadline and the bytes it holds, and ends the
connection with an answer when it goes over a bound. One timer looks at all deadlines; a
timer for each connection would take half a kilobyte.

Bounds of one process (docs/operations.md has the reasons):

* connections in all, from one address, and without a complete head. Whoever comes over a
  bound takes the place of the connection that has been idle longest; when none is idle the
  new one is refused.
* a head is complete in HEAD_SECONDS, a body in BODY_SECONDS and the time its size takes at
  SLOWEST_BODY.
* bytes of bodies that have not arrived whole. When a budget is used up, the connection that
  holds most of it is refused.
"""

from __future__ import annotations

import asyncio
import enum
import ipaddress
import resource
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ccproxy_site.server.error_answer import whole_error
from gateway.api.head import allowance
from gateway.errors import GatewayError, RequestTimedOut, RequestTooLarge, Saturated
from gateway.values import frozen

MB: Final = 1024 * 1024

# seconds between two looks at the deadlines
LOOK_EVERY: Final = 2.5
# as Twisted's: so long may a connection wait for its next request, and so long may its end take
IDLE_SECONDS: Final = 60.0
ABORT_SECONDS: Final = 15.0
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 30.0
# bytes a second
SLOWEST_BODY: Final = 100_000
# After a refusal so much of a body is read and thrown away, for so long: a client that is still
# sending would see a reset instead of the answer.
EXCESS: Final = 8 * MB
EXCESS_SECONDS: Final = 10.0

# descriptors that are no connection of a client: files, the database, listening sockets
OTHER_DESCRIPTORS: Final = 128
MOST_DESCRIPTORS: Final = 65_536
MOST_CONNECTIONS: Final = 4096
# bytes of bodies that have not arrived whole: of requests with a key, and of all others
WITH_KEY: Final = 256 * MB
WITHOUT_KEY: Final = 64 * MB
# an IPv6 client has a network of its own
_IPV6_PREFIX: Final = 64


@frozen
class Bounds:
    """What one process takes from its clients: numbers of connections, and bytes of bodies that arrive."""

    connections: int = MOST_CONNECTIONS
    of_one_address: int = MOST_CONNECTIONS // 2
    without_head: int = MOST_CONNECTIONS // 4
    with_key: int = WITH_KEY
    without_key: int = WITHOUT_KEY


def bounds_for(
    descriptors: int, largest_body: int, connections: int | None = None, of_one_address: int | None = None
) -> Bounds:
    """The bounds of a process that may open `descriptors`: half of them are kept for providers.

    `largest_body` in bytes; `connections` and `of_one_address`: what the operator set, None: nothing.
    """
    possible = max(8, (descriptors - OTHER_DESCRIPTORS) // 2)
    most = min(connections or MOST_CONNECTIONS, possible)
    return Bounds(
        connections=most,
        of_one_address=min(of_one_address or max(4, most // 2), most),
        without_head=max(4, most // 4),
        with_key=max(WITH_KEY, 8 * largest_body),
        without_key=max(WITHOUT_KEY, 2 * largest_body),
    )


def raised_descriptors() -> int:
    """Let this process open as many descriptors as the system allows it; how many these are now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    # macOS says "unlimited" and takes 10,240
    for wanted in (MOST_DESCRIPTORS, 10_240):
        possible = wanted if hard == unlimited else min(wanted, hard)
        if soft == unlimited or soft >= possible:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
        except (OSError, ValueError):
            continue
        return possible
    return MOST_DESCRIPTORS if soft == unlimited else soft


def counted_address(peername: Any) -> str | None:
    """What the connections of one client have in common; None: counted for nobody.

    `peername` is the socket's. An IPv6 client is counted by its network, which has more addresses
    than can be refused.
    """
    if not peername:
        return None
    try:
        address = ipaddress.ip_address(str(peername[0]).partition("%")[0])
    except ValueError:
        return None
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))


class ConnectionPhase(enum.Enum):
    """What a connection is about."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    ANSWERING = enum.auto()
    # refused: what comes is thrown away
    REFUSED = enum.auto()
    CLOSING = enum.auto()


class ByteBudget:
    """Bytes that may be held at the same time, and the slots that hold them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.used = 0
        self._holders: dict[ConnectionSlot, None] = {}

    def take(self, slot: ConnectionSlot, size: int) -> None:
        """`slot` holds `size` bytes more. Over the bound, who holds most is refused: perhaps `slot`."""
        slot.held += size
        self.used += size
        self._holders[slot] = None
        while self.used > self._most:
            max(self._holders, key=lambda holder: holder.held).refuse(
                Saturated("the gateway is receiving too many large requests, try again in a moment")
            )

    def give_back(self, slot: ConnectionSlot) -> None:
        self._holders.pop(slot, None)
        self.used -= slot.held
        slot.held = 0


class Connections:
    """All connections of a process; belongs to one event loop."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.with_key = ByteBudget(self.bounds.with_key)
        self.without_key = ByteBudget(self.bounds.without_key)
        self._open: set[ConnectionSlot] = set()
        self._closing: set[ConnectionSlot] = set()
        # open ones
        self._of_address: dict[str, set[ConnectionSlot]] = {}
        # these two in the order in which they became so
        self._idle: dict[ConnectionSlot, None] = {}
        self._without_head: dict[ConnectionSlot, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open) + len(self._closing)

    def admit(self, transport: asyncio.Transport) -> ConnectionSlot:
        """A place for a new connection. Refuses it, or closes others, when there are too many:
        `refused` says so."""
        loop = asyncio.get_running_loop()
        slot = ConnectionSlot(self, transport, loop, counted_address(transport.get_extra_info("peername")))
        if self._timer is None:
            self._timer = loop.call_later(LOOK_EVERY, self._look)
        bounds = self.bounds
        mine = self._of_address.setdefault(slot.address, set()) if slot.address is not None else set()
        if len(mine) >= bounds.of_one_address and not _room_made(self._idle, slot.address):
            slot.turn_away("too many connections from your address")
        elif len(self._open) >= bounds.connections and not _room_made(self._idle):
            slot.turn_away("the gateway has too many connections")
        elif len(self._without_head) >= bounds.without_head:
            # whoever opens many ends their own
            _room_made(self._without_head, slot.address) or _room_made(self._without_head)
        if not slot.refused:
            mine.add(slot)
            self._open.add(slot)
            self._idle[slot] = self._without_head[slot] = None
        return slot

    def begins_head(self, slot: ConnectionSlot) -> None:
        """Its place among the idle ones stays: who sends a byte now and then is no younger for it."""
        self._without_head.setdefault(slot)

    def has_head(self, slot: ConnectionSlot) -> None:
        self._idle.pop(slot, None)
        self._without_head.pop(slot, None)

    def is_idle(self, slot: ConnectionSlot) -> None:
        self._idle[slot] = None

    def closes(self, slot: ConnectionSlot) -> None:
        """It counts no more, but may take some time."""
        self.has_head(slot)
        self._open.discard(slot)
        self._closing.add(slot)
        mine = self._of_address.get(slot.address) if slot.address is not None else None
        if mine is not None:
            mine.discard(slot)
            if not mine:
                del self._of_address[slot.address]  # type: ignore[arg-type]

    def gone(self, slot: ConnectionSlot) -> None:
        self.closes(slot)
        self._closing.discard(slot)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOK_EVERY, self._look) if len(self) else None
        now = loop.time()
        for slot in [slot for slot in (*self._open, *self._closing) if slot.deadline <= now]:
            slot.late()


def _room_made(slots: Iterable[ConnectionSlot], address: str | None = None) -> bool:
    """Close the first of these connections, or the first of this address; False: there is none."""
    for slot in slots:
        if address is None or slot.address == address:
            slot.make_room()
            return True
    return False


class ConnectionSlot:
    """One connection as its bounds see it; its reader tells what arrives."""

    __slots__ = (
        "_budget",
        "_connections",
        "_dropped",
        "_loop",
        "_most",
        "_rest",
        "_transport",
        "address",
        "deadline",
        "forget",
        "held",
        "phase",
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
        self.address = address
        self.phase = ConnectionPhase.IDLE
        self.deadline = loop.time() + IDLE_SECONDS
        # the reader's: let go of what arrived of a request that is refused
        self.forget: Callable[[], None] | None = None
        # bytes of a body that has not arrived whole, and who counts them
        self.held = 0
        self._budget: ByteBudget | None = None
        # bytes of the body that are still to come (None: nobody knows), that may come, and that came
        # behind a refusal
        self._rest: int | None = None
        self._most = 0
        self._dropped = 0

    @property
    def refused(self) -> bool:
        """The connection ends; its reader has nothing more to do with it."""
        return self.phase is ConnectionPhase.REFUSED or self.phase is ConnectionPhase.CLOSING

    # --- what the readers tell ------------------------------------------------------------

    def head(self) -> None:
        """The first bytes of a request are here."""
        self.phase = ConnectionPhase.HEAD
        self.deadline = self._loop.time() + HEAD_SECONDS
        self._connections.begins_head(self)

    def whole_head(
        self, method: bytes, path: bytes, headers: Mapping[str, str], address: str, length: int | None
    ) -> bool:
        """The head is complete, and a body of `length` bytes follows (None: in chunks): whether to keep it.

        Afterwards the slot may be `refused`, as after `received`.
        """
        self.phase = ConnectionPhase.BODY
        self._rest = length
        self._connections.has_head(self)
        try:
            allowed = allowance(method, path, headers, address)
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
        """So many bytes of the body came."""
        if self.refused:
            self.dropped(size)
            return
        self._most -= size
        if self._rest is None:
            self.deadline += size / SLOWEST_BODY
        else:
            self._rest -= size
        if self._budget is not None:
            self._budget.take(self, size)
        if self._most < 0:
            self.refuse(RequestTooLarge("Request exceeds the maximum size"))

    def answering(self) -> None:
        """The whole request is here."""
        self._give_back()
        self.phase = ConnectionPhase.ANSWERING
        self.deadline = float("inf")
        self._connections.has_head(self)

    def idle(self) -> None:
        """The answer is written; the next request may come."""
        if self.refused:
            return
        self.phase = ConnectionPhase.IDLE
        self.deadline = self._loop.time() + IDLE_SECONDS
        self._connections.is_idle(self)

    def dropped(self, size: int) -> None:
        """So many bytes came behind a refusal."""
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
        """Answer a request that has not arrived whole, throw the rest of it away, and close."""
        if self.refused:
            return
        waits = self.phase is ConnectionPhase.BODY and self._rest != 0
        self._let_go()
        self._transport.write(whole_error(error))
        self.phase = ConnectionPhase.REFUSED
        self.deadline = self._loop.time() + EXCESS_SECONDS
        if not waits:
            self.close()

    def turn_away(self, problem: str) -> None:
        """There is no place for this connection."""
        self.phase = ConnectionPhase.HEAD
        self.refuse(Saturated(f"{problem}, try again in a moment"))

    def close(self) -> None:
        """Close when everything written has gone out, or after ABORT_SECONDS."""
        if self.phase is ConnectionPhase.CLOSING:
            return
        self._let_go()
        self._connections.closes(self)
        self.phase = ConnectionPhase.CLOSING
        self.deadline = self._loop.time() + ABORT_SECONDS
        self._transport.close()

    def make_room(self) -> None:
        """Close for another connection: at once, also when the client has not read all of an answer."""
        self.close()
        if self._transport.get_write_buffer_size():
            self._transport.abort()

    def late(self) -> None:
        """The deadline is over."""
        if self.phase is ConnectionPhase.CLOSING:
            self._transport.abort()
        elif self.phase is ConnectionPhase.HEAD:
            self.refuse(RequestTimedOut(f"the request's head took longer than {HEAD_SECONDS:.0f} seconds"))
        elif self.phase is ConnectionPhase.BODY:
            self.refuse(RequestTimedOut("the request's body took too long"))
        else:
            self.close()

    def _let_go(self) -> None:
        """Of this request nothing is needed any more."""
        self._give_back()
        self._connections.has_head(self)
        if self.forget is not None:
            self.forget()

    def _give_back(self) -> None:
        budget, self._budget = self._budget, None
        if budget is not None:
            budget.give_back(self)
