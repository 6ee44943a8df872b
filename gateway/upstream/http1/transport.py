"""LeanTransport: HTTP/1.1 for httpx on an asyncio protocol, without httpx's pool and parser.

The stock transport scans every idle connection at the beginning and end of each request, and
returns one piece per HTTP chunk. Here a kept connection is popped from a list, and everything from
one read is one piece, so a burst from the provider leaves the gateway as one write.

Not supported: proxies, HTTP/2, pool and read timeouts (the reader has the clock).
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
    """One per event loop. `ssl_context` replaces httpx's own (certifi, SSL_CERT_FILE).

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
        """httpx's entry point. Raises httpx.TransportError."""
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
        """The short way, without httpx's request and response objects: the answer, once its head is here.

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
            # The server may close a kept connection while the request is on its way. A POST is repeated
            # only in that case: the connection was a kept one, it ended within about a round trip, and no
            # byte of an answer came. If the server had started anyway, a completion is computed in vain;
            # it leaves no state behind. Everything later is the relay's business, which counts, spaces and
            # records its attempts.
            try:
                return await _answered(kept, head, content, write_timeout)
            except StaleConnection:
                pass
        return await _answered(
            await self._connected(place.origin, connect_timeout), head, content, write_timeout
        )

    async def _connected(self, origin: ConnectionOrigin, timeout: float | None) -> LeanConnection:
        """Open a new connection, TLS included. Raises httpx.ConnectError or httpx.ConnectTimeout."""
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
                    # during the TLS handshake the loop closes the socket itself
                    connection.abort()
                    raise
        except TimeoutError as problem:
            raise httpx.ConnectTimeout("connecting took too long") from problem
        except OSError as problem:
            raise httpx.ConnectError(str(problem)) from problem
        self._pool.add(connection)
        return connection

    async def _tls(self) -> ssl.SSLContext:
        # reading the certificates takes tens of milliseconds: once, and off the loop
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
