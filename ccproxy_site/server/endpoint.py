"""The endpoint `gateway:port=8082:interface=127.0.0.1`: TCP whose connections use GatewayWebRequest.

Daphne sets its request class on each connection it builds; an endpoint is where
Twisted lets others wrap that. Registered by twisted/plugins/ccproxy_endpoint.py.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpoint, IStreamServerEndpointStringParser
from twisted.internet.protocol import Factory
from twisted.plugin import IPlugin
from zope.interface.declarations import implementer

from ccproxy_site.server.web_request import GatewayWebRequest

BACKLOG = 1024


class GatewayFactory(Factory):
    """Daphne's factory, with our request class on every connection."""

    noisy = False

    def __init__(self, daphne_factory: Any) -> None:
        self._daphne_factory = daphne_factory

    def doStart(self) -> None:  # noqa: N802 (Twisted's name)
        super().doStart()
        self._daphne_factory.doStart()

    def doStop(self) -> None:  # noqa: N802 (Twisted's name)
        super().doStop()
        self._daphne_factory.doStop()

    def buildProtocol(self, address: Any) -> Any:  # noqa: N802 (Twisted's name)
        protocol = self._daphne_factory.buildProtocol(address)
        if protocol is not None:
            protocol.requestFactory = GatewayWebRequest
        return protocol


@implementer(IStreamServerEndpoint)
class GatewayEndpoint:
    def __init__(self, reactor: Any, port: int, interface: str) -> None:
        endpoint = TCP6ServerEndpoint if ":" in interface else TCP4ServerEndpoint
        self._endpoint = endpoint(reactor, port, backlog=BACKLOG, interface=interface)

    def listen(self, factory: Any) -> Any:
        return self._endpoint.listen(GatewayFactory(factory))


@implementer(IPlugin, IStreamServerEndpointStringParser)
class GatewayEndpointParser:
    prefix = "gateway"

    def parseStreamServer(  # noqa: N802 (Twisted's name)
        self, reactor: Any, port: str, interface: str = "127.0.0.1"
    ) -> GatewayEndpoint:
        return GatewayEndpoint(reactor, int(port), interface.strip("[]"))
