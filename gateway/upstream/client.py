"""UpstreamClient: one HTTP POST to a provider, its answer as bytes as they arrive.

The only module besides transport.py that knows the HTTP client library. What
callers see are our own values and errors. Timers other than the connect timeout
belong to the relay: it must send pings while it waits.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Final

import httpx

from gateway.errors import UpstreamBroken, UpstreamError, UpstreamTimedOut, UpstreamUnreachable
from gateway.upstream.prepare import UpstreamCall
from gateway.upstream.transport import InProcessHandler, InProcessTransport

# httpcore looks at every idle connection at each request: few idle ones, many busy ones.
LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30)
WRITE_TIMEOUT: Final = 60.0


class UpstreamAnswer:
    """A provider's answer whose head has arrived. `headers` have lower-case names."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = dict(response.headers.items())

    @property
    def content_type(self) -> str:
        """The media type without parameters, lower case; "" when missing."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises UpstreamBroken when the connection breaks."""
        try:
            # identity was asked for; a server that compresses all the same is decoded
            async for piece in self._response.aiter_bytes():
                yield piece
        except (httpx.TransportError, httpx.StreamError, httpx.DecodingError) as problem:
            raise UpstreamBroken("upstream closed the stream before the response was complete") from problem

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises UpstreamBroken when it breaks off or is longer than `limit` bytes."""
        parts: list[bytes] = []
        size = 0
        async for piece in self.pieces():
            size += len(piece)
            if size > limit:
                raise UpstreamBroken(f"upstream sent a body larger than {limit} bytes")
            parts.append(piece)
        return b"".join(parts)

    async def close(self) -> None:
        """Give the connection back, or cut it when the body was not read to its end."""
        with contextlib.suppress(httpx.HTTPError):
            await self._response.aclose()


class UpstreamClient:
    """Opens calls. One per process and event loop; `close` it at the end.

    `demo` answers the calls marked as demo; `transport` replaces the network (tests).
    """

    def __init__(
        self, demo: InProcessHandler | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._http = httpx.AsyncClient(
            transport=transport,
            limits=LIMITS,
            follow_redirects=False,
            http2=False,
            headers={},
        )
        self._demo = httpx.AsyncClient(transport=InProcessTransport(demo)) if demo else None

    async def open(self, call: UpstreamCall) -> UpstreamAnswer:
        """Send the call and wait for the head of the answer.

        Raises UpstreamUnreachable (with the reason) or UpstreamTimedOut.
        """
        http = self._demo if call.demo and self._demo is not None else self._http
        try:
            request = http.build_request(
                "POST",
                call.url,
                content=call.content,
                headers=dict(call.headers),
                timeout=httpx.Timeout(
                    connect=call.connect_timeout, read=None, write=WRITE_TIMEOUT, pool=call.connect_timeout
                ),
            )
            return UpstreamAnswer(await http.send(request, stream=True))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError, ValueError) as problem:
            raise connection_error(problem) from problem

    async def close(self) -> None:
        await self._http.aclose()
        if self._demo is not None:
            await self._demo.aclose()


def connection_error(problem: Exception) -> UpstreamError:
    """A client library's exception as ours, with the reason in words (specification 7.1)."""
    if isinstance(problem, httpx.TimeoutException):
        return UpstreamTimedOut("the upstream provider timed out")
    chain = _causes(problem)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain):
        return UpstreamUnreachable(
            "could not connect to the upstream provider (TLS certificate invalid)", should_retry=False
        )
    return UpstreamUnreachable(f"could not connect to the upstream provider ({_reason(problem, chain)})")


def _causes(problem: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = problem
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain


def _reason(problem: Exception, chain: list[BaseException]) -> str:
    if any(isinstance(cause, ssl.SSLError) for cause in chain):
        return "TLS handshake failed"
    text = " ".join(str(cause).lower() for cause in chain)
    if any(isinstance(cause, socket.gaierror) for cause in chain):
        return "name resolution failed"
    if any(isinstance(cause, ConnectionRefusedError) for cause in chain) or "all connection attempts" in text:
        return "connection refused"
    if isinstance(problem, httpx.UnsupportedProtocol | httpx.InvalidURL | ValueError):
        return "its URL is not valid; an admin must correct the provider's base URL"
    return "connection reset"
