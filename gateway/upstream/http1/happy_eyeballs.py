"""From host and port to a connected TCP socket, trying its addresses side by side (RFC 8305).

asyncio's own implementation hides why attempts failed, and uvloop has none: a name with a dead
IPv6 address would wait for the whole connect timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from gateway.security.destinations import is_link_local

# seconds without an outcome after which the next address is tried too
STAGGER: Final = 0.25
# A model may think for minutes without sending a byte; without keep-alive probes, routers forget the
# connection.
KEEPALIVE_AFTER: Final = 60
# concurrent name lookups; threads start when they are needed
_lookups: Final = ThreadPoolExecutor(max_workers=8, thread_name_prefix="dns")

# family, type, protocol, canonical name, address
Address = tuple[Any, Any, int, str, Any]
# One for each host and port: a lookup cannot be cancelled, and one name whose resolver hangs must not take
# every thread.
_under_way: Final[dict[tuple[str, int], Future[list[Address]]]] = {}


class AddressRefused(OSError):
    """A host resolves only to link-local or metadata addresses, which calls may not reach."""


async def connected_socket(host: str, port: int, *, link_local: bool = False) -> socket.socket:
    """Connect to the first address that answers.

    Raises OSError: socket.gaierror when the name is unknown, AddressRefused when it resolves only to
    link-local addresses and `link_local` does not allow them. There is no time limit here; cancelling
    closes every attempt.
    """
    loop = asyncio.get_running_loop()
    addresses = interleaved(await permitted_addresses(host, port, link_local=link_local))
    if len(addresses) == 1:
        return await _connected(loop, addresses[0])
    return await _raced(loop, addresses)


async def permitted_addresses(host: str, port: int, *, link_local: bool) -> list[Address]:
    """The addresses of a host that calls may reach. Raises OSError as `connected_socket` does."""
    addresses = await _resolved(asyncio.get_running_loop(), host, port)
    if not link_local:
        # checked after resolution, so no spelling of the host and no second DNS answer gets past it
        addresses = [address for address in addresses if not is_link_local(address[4][0])]
        if not addresses:
            raise AddressRefused(f"{host} is a link-local address")
    return addresses


def interleaved(addresses: list[Address]) -> list[Address]:
    """The families alternating, beginning with that of the first address."""
    if not addresses:
        return []
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    mixed: list[Address] = []
    while first or others:
        mixed += first[:1] + others[:1]
        del first[:1], others[:1]
    return mixed


async def _resolved(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[Address]:
    # a literal address needs neither resolver nor thread
    with contextlib.suppress(socket.gaierror):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    place = (host, port)
    lookup = _under_way.get(place)
    if lookup is None:
        # whatever else runs in the loop's default executor must not delay a lookup
        lookup = _under_way[place] = _lookups.submit(_looked_up, host, port)
        lookup.add_done_callback(lambda _: _under_way.pop(place, None))
    # whoever gives up leaves the lookup to the others
    return await asyncio.shield(asyncio.wrap_future(lookup, loop=loop))


def _looked_up(host: str, port: int) -> list[Address]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


async def _connected(loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
    family, kind, protocol, _, where = address
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_AFTER)
        await loop.sock_connect(connection, where)
    except BaseException:
        connection.close()
        raise
    return connection


async def _raced(loop: asyncio.AbstractEventLoop, addresses: list[Address]) -> socket.socket:
    waiting = list(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    problems: list[BaseException] = []
    try:
        while waiting or running:
            if waiting:
                running.add(loop.create_task(_connected(loop, waiting.pop(0))))
            done, _ = await asyncio.wait(
                running, timeout=STAGGER if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                problem = task.exception()
                if problem is None:
                    running.discard(task)
                    return task.result()
                running.discard(task)
                problems.append(problem)
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_discarded)
    # "refused" says more than "unreachable"
    raise next((one for one in problems if isinstance(one, ConnectionRefusedError)), problems[-1])


def _discarded(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
