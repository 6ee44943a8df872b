"""ConnectionSlot: one connection as its bounds see it, its deadline and the bytes that it holds.

Both of our readers report to it what arrives (`head`, `whole_head`, `received`, `answering`, `idle`). It ends
the connection with an answer when a bound is exceeded.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from ccproxy_site.forwarded import client_address, trusted_proxies
from ccproxy_site.public_path import PUBLIC_PATH
from ccproxy_site.server.connections.bounds import MB, ByteBudget, ReadingProgress
from ccproxy_site.server.error_answer import whole_error
from gateway.api.head import allowance
from gateway.errors import GatewayError, HeadTooLarge, RequestTimedOut, RequestTooLarge, Saturated
from gateway.security.client_networks import counted_as

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


def _pairs(headers: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
    return ((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())


class Registry(Protocol):
    """All connections of the process, as one of them knows them (registry.Connections)."""

    with_key: ByteBudget
    without_key: ByteBudget

    def begins_head(self, slot: ConnectionSlot) -> None: ...

    def has_head(self, slot: ConnectionSlot) -> None: ...

    def is_idle(self, slot: ConnectionSlot) -> None: ...

    def counts_for(self, slot: ConnectionSlot, address: str) -> None: ...

    def counts_for_nobody(self, slot: ConnectionSlot) -> None: ...

    def closes(self, slot: ConnectionSlot) -> None: ...

    def gone(self, slot: ConnectionSlot) -> None: ...


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
        connections: Registry,
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
