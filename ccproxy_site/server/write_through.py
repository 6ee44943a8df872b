"""DirectBody: the rest of a streamed answer, written without a message for each piece.

For every piece of a stream after the first, this replaces the handler's iteration, an ASGI message,
Daphne's `handle_reply` and Twisted's `Request.write`, and the turn of the event loop and the task switch
that an iteration takes. What arrives from the provider is converted and written in one go, in the
callback that brought it: a paced chunk costs a third less CPU (docs/performance.md, "What changed it").

Offered to the application as the ASGI extension EXTENSION. Servers without it, and pieces that come while
the client is slow, use messages as usual.
"""

from __future__ import annotations

from typing import Final

from ccproxy_site.server.transport import AsyncioTransport
from ccproxy_site.server.web_request import GatewayWebRequest

EXTENSION: Final = "ccproxy.direct_body"


class DirectBody:
    """Valid once the head of the answer has been written, until its last message is sent."""

    __slots__ = ("_request", "_transport")

    def __init__(self, request: GatewayWebRequest, transport: AsyncioTransport) -> None:
        self._request = request
        self._transport = transport

    @property
    def held_back(self) -> bool:
        """The client is not reading: send messages instead, which wait for it."""
        return self._transport.held_back

    def write(self, piece: bytes) -> None:
        """The next piece of the body, not empty. Does nothing when the client is gone."""
        transport = self._transport
        if transport.disconnected or transport.disconnecting:
            return
        # what Twisted's Request.write does once the head is out
        if self._request.chunked:
            transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        else:
            transport.write(piece)


def direct_body(request: object) -> DirectBody | None:
    """For a request on one of our connections; None for others."""
    if isinstance(request, GatewayWebRequest) and isinstance(request.transport, AsyncioTransport):
        return DirectBody(request, request.transport)
    return None
