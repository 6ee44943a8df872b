"""GatewayEndpoint: accepts connections on asyncio transports, at an address or on an inherited socket.

An endpoint is where Twisted lets others decide how connections are accepted and
what is built for them: here transport.py's connections, and GatewayWebRequest
as the request class.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from zope.interface.declarations import implementer

from ccproxy_site.server.api_connection import ApiConnection
from ccproxy_site.server.connections.bounds import bounds_for, raised_descriptors
from ccproxy_site.server.connections.registry import Connections
from ccproxy_site.server.transport import Connection, twisted_address
from ccproxy_site.server.web_request import GatewayWebRequest
from gateway.conf import gateway_conf

BACKLOG: Final = 1024


class GatewayFactory:
    """Daphne's factory, with our request class on every connection it builds."""

    def __init__(self, daphne_factory: Any) -> None:
        self._daphne_factory = daphne_factory
        server = daphne_factory.server
        # the bounds belong to the process: its ports share them
        if getattr(server, "admitted", None) is None:
            conf = gateway_conf()
            server.admitted = Connections(
                bounds_for(
                    raised_descriptors(),
                    conf.max_body_bytes,
                    conf.max_connections,
                    conf.max_connections_per_address,
                )
            )
        self.connections: Connections = server.admitted

    def buildProtocol(self, address: Any) -> Any:  # noqa: N802 (Twisted's name)
        protocol = self._daphne_factory.buildProtocol(address)
        if protocol is not None:
            protocol.requestFactory = GatewayWebRequest
        return protocol

    @property
    def server(self) -> Any:
        """Daphne's server."""
        return self._daphne_factory.server


def connections_of(factory: GatewayFactory) -> Callable[[], asyncio.Protocol]:
    """Makes the connections: ours, or Daphne's for all when addresses come from a proxy's headers."""
    kind = Connection if factory.server.proxy_forwarded_address_header else ApiConnection
    return functools.partial(kind, factory)


@implementer(IListeningPort)
class GatewayPort:
    """A listening asyncio server with the interface of Twisted's ports."""

    def __init__(self, server: asyncio.Server, daphne_factory: Any) -> None:
        self._server = server
        self._daphne_factory = daphne_factory

    def startListening(self) -> None:  # noqa: N802 (Twisted's name)
        """It listens from the start."""

    def stopListening(self) -> Deferred[None]:  # noqa: N802 (Twisted's name)
        self._server.close()
        self._daphne_factory.doStop()
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def getHost(self) -> Any:  # noqa: N802 (Twisted's name)
        return twisted_address(self._server.sockets[0].getsockname())


@implementer(IStreamServerEndpoint)
class GatewayEndpoint:
    """Listens on `port` of `interface`, or on the inherited descriptor `fd`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, port: int, interface: str, fd: int | None = None
    ) -> None:
        self._loop = loop
        self._port = port
        self._interface = interface
        self._fd = fd

    def listen(self, factory: Any) -> Deferred[GatewayPort]:
        """Listen on the reactor's own event loop. Fails with CannotListenError."""
        return Deferred.fromFuture(self._loop.create_task(self._listen(factory)))

    async def _listen(self, factory: Any) -> GatewayPort:
        accepted = connections_of(GatewayFactory(factory))
        try:
            if self._fd is not None:
                listening = socket.socket(fileno=self._fd)
                server = await self._loop.create_server(accepted, sock=listening, backlog=BACKLOG)
            else:
                server = await self._loop.create_server(
                    accepted, self._interface or None, self._port, backlog=BACKLOG
                )
        except (OSError, socket.gaierror) as problem:
            raise CannotListenError(self._interface, self._port, problem) from problem
        factory.doStart()
        return GatewayPort(server, factory)


def endpoint_of(loop: asyncio.AbstractEventLoop, description: str) -> GatewayEndpoint | None:
    """The endpoint that a description means; None for one that is not of TCP, such as `unix:`.

    `tcp:port=8082:interface=127.0.0.1` as Daphne writes it for an address (a colon within a value stands
    behind a backslash), and `fd:3` for a listening socket that the process inherited.
    """
    kind, *arguments = description.replace("\\:", "\0").split(":")
    if kind == "fd":
        return GatewayEndpoint(loop, 0, "", int(arguments[0]))
    if kind != "tcp":
        return None
    given = dict(argument.replace("\0", ":").split("=", 1) for argument in arguments)
    return GatewayEndpoint(loop, int(given.get("port", "0")), given.get("interface", "127.0.0.1").strip("[]"))
