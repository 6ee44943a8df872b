"""LeanTransport: HTTP/1.1 for httpx on an asyncio protocol, without its pool and parser.

The stock transport looks at every idle connection at the beginning and end of
each request, and gives one piece for each HTTP chunk. Here a kept connection is
popped from a list, and all that one read brought is one piece, so that a burst
of the provider's leaves the gateway as one write.

Not spoken: proxies, HTTP/2, pool and read timeouts (who reads has the clock).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

import httpx

from gateway.upstream.http1.connection import ConnectionOrigin, LeanConnection, StaleConnection
from gateway.upstream.http1.happy_eyeballs import connected_socket
from gateway.upstream.http1.pool import IDLE_EXPIRY, IDLE_LIMIT, IdlePool
from gateway.upstream.http1.request import ParsedUrl, post_head, request_head, target, target_of
from gateway.upstream.http1.response import LeanAnswer


class LeanTransport(httpx.AsyncBaseTransport):
    """One per event loop. `ssl_context`: instead of httpx's own (certifi, SSL_CERT_FILE).

    `link_local`: whether it may connect to link-local addresses.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None = None,
        *,
        idle_limit: int = IDLE_LIMIT,
        idle_expiry: float = IDLE_EXPIRY,
        link_local: bool = False,
    ) -> None:
        self._link_local = link_local
        self._ssl_context = ssl_context
        self._ssl_lock = asyncio.Lock()
        self._pool = IdlePool(idle_limit, idle_expiry)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's way in. Raises httpx.TransportError."""
        place = target_of(request.url)
        content = await request.aread()
        timeouts: Mapping[str, float | None] = request.extensions.get("timeout", {})
        head = request_head(request.method.encode("ascii"), place, request.headers.raw, len(content))
        answer = await self._exchanged(place, head, content, timeouts.get("connect"), timeouts.get("write"))
        return httpx.Response(
            answer.status, headers=answer.headers, stream=answer, extensions={"http_version": b"HTTP/1.1"}
        )

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        *,
        connect_timeout: float | None,
        write_timeout: float | None,
    ) -> LeanAnswer:
        """The short way in, without httpx's request and response: the answer, once its head is here.

        Raises httpx.TransportError, httpx.InvalidURL or UnicodeEncodeError.
        """
        place = target(url)
        head = post_head(place, headers, len(content))
        return await self._exchanged(place, head, content, connect_timeout, write_timeout)

    async def aclose(self) -> None:
        """Close every connection; exchanges on them fail."""
        self._pool.close()

    async def _exchanged(
        self,
        place: ParsedUrl,
        head: bytes,
        content: bytes,
        connect_timeout: float | None,
        write_timeout: float | None,
    ) -> LeanAnswer:
        kept = self._pool.take(place.origin)
        if kept is not None:
            # The server may close a kept connection while the request is on its way. A POST
            # is sent again only then: the connection was a kept one, it ended within a round
            # trip or so, and no byte of an answer came. Should the server have begun all the
            # same, a completion is computed in vain; it leaves no state behind. Everything
            # later is for the relay, which counts, spaces and records its attempts.
            try:
                return await _answered(kept, head, content, write_timeout)
            except StaleConnection:
                pass
        return await _answered(
            await self._connected(place.origin, connect_timeout), head, content, write_timeout
        )

    async def _connected(self, origin: ConnectionOrigin, timeout: float | None) -> LeanConnection:
        """A new connection, TLS included. Raises httpx.ConnectError or httpx.ConnectTimeout."""
        loop = asyncio.get_running_loop()
        connection = LeanConnection(origin, self._pool, loop)
        try:
            async with asyncio.timeout(timeout):
                context = await self._tls() if origin.scheme == "https" else None
                socket = await connected_socket(origin.host, origin.port, link_local=self._link_local)
                try:
                    await loop.create_connection(
                        lambda: connection,
                        sock=socket,
                        ssl=context,
                        server_hostname=origin.host if context else None,
                    )
                except BaseException:
                    # the loop closes the socket itself while TLS is being agreed on
                    connection.abort()
                    raise
        except TimeoutError as problem:
            raise httpx.ConnectTimeout("connecting took too long") from problem
        except OSError as problem:
            raise httpx.ConnectError(str(problem)) from problem
        self._pool.add(connection)
        return connection

    async def _tls(self) -> ssl.SSLContext:
        # reading the certificates takes tens of milliseconds: once, and beside the loop
        async with self._ssl_lock:
            if self._ssl_context is None:
                self._ssl_context = await asyncio.to_thread(_ssl_context)
            return self._ssl_context


def _ssl_context() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _answered(
    connection: LeanConnection, head: bytes, content: bytes, write_timeout: float | None
) -> LeanAnswer:
    answer = connection.start(head, content, write_timeout)
    try:
        await answer.head()
    except BaseException:
        answer.close()
        raise
    return answer
