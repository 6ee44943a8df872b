"""How many connections and bytes one process accepts, derived from the descriptors that it may open."""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import resource
import termios
from typing import Any, Final, Protocol

from ccproxy_site.forwarded import plain, trusted_proxies
from gateway.errors import GatewayError, Saturated
from gateway.security.client_networks import counted_as
from gateway.values import frozen

MB: Final = 1024 * 1024
# descriptors that are not connections of clients: files, the database, listening sockets
OTHER_DESCRIPTORS: Final = 128
MOST_DESCRIPTORS: Final = 65_536
MOST_CONNECTIONS: Final = 4096
# bytes of incomplete bodies: of requests with a key, and of all others
WITH_KEY: Final = 256 * MB
WITHOUT_KEY: Final = 64 * MB


class Holder(Protocol):
    """A connection, which holds `held` bytes of a body that is not complete."""

    held: int

    def refuse(self, error: GatewayError) -> None: ...


class ByteBudget:
    """Bytes that may be held at the same time, and who holds them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.used = 0
        self._holders: dict[Holder, None] = {}

    def take(self, holder: Holder, size: int) -> None:
        """`holder` holds `size` more bytes. Beyond the bound, whoever holds most is refused, maybe itself."""
        holder.held += size
        self.used += size
        self._holders[holder] = None
        while self.used > self._most:
            max(self._holders, key=lambda one: one.held).refuse(
                Saturated("the gateway is receiving too many large requests, try again in a moment")
            )

    def give_back(self, holder: Holder) -> None:
        self._holders.pop(holder, None)
        self.used -= holder.held
        holder.held = 0


class ReadingProgress:
    """How far a client has come with reading what was written to its connection."""

    __slots__ = ("_transport", "_unread")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._unread = _unread(transport)

    def goes_on(self, least: float) -> bool:
        """Whether the client has read `least` bytes since the last call, or since the beginning."""
        before, self._unread = self._unread, _unread(self._transport)
        return before - self._unread >= least


def _unread(transport: asyncio.Transport) -> int:
    """Bytes that were written and that the client's machine has not taken.

    The system's own buffer counts: it may hold megabytes, and takes more only when a third of it is free.
    """
    queued = array.array("i", [0])
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # not every system says it of a socket, and none of a closed one
        with contextlib.suppress(OSError, ValueError):
            fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, queued)
    return transport.get_write_buffer_size() + queued[0]


@frozen
class Bounds:
    """What one process accepts from its clients: numbers of connections, and bytes of arriving bodies."""

    connections: int = MOST_CONNECTIONS
    of_one_address: int = MOST_CONNECTIONS // 2
    without_head: int = MOST_CONNECTIONS // 4
    with_key: int = WITH_KEY
    without_key: int = WITHOUT_KEY


def bounds_for(
    descriptors: int, largest_body: int, connections: int | None = None, of_one_address: int | None = None
) -> Bounds:
    """The bounds of a process that may open `descriptors`, half of which are reserved for providers.

    `largest_body` in bytes; `connections` and `of_one_address`: the operator's settings, None when unset.
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
    """Raise this process's limit of descriptors as far as the system allows; returns the limit."""
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
    """The address that the connections of one client share; None: not counted.

    `peername` is the socket's. A trusted proxy speaks for many clients; whose body is arriving on its
    connection is known only once the head is here.
    """
    if not peername:
        return None
    address = plain(str(peername[0]).partition("%")[0])
    return None if trusted_proxies().trusts(address) else counted_as(address)
