"""LeanTransport: HTTP/1.1 for httpx on an asyncio protocol, without httpx's pool and parser.

The stock transport scans every idle connection at the beginning and end of each request, and
returns one piece per HTTP chunk. Here a kept connection is popped from a list, and everything from
one read is one piece, so a burst from the provider leaves the gateway as one write.

Not supported: HTTP/2, pool and read timeouts (the reader has the clock).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final

import httpx

from gateway.cache import GenerationalCache
from gateway.routing.network_path import Proxy, TLSIdentity
from gateway.security.certificates import tls_context, with_identity
from gateway.security.destinations import is_refused_host
from gateway.upstream.http1.connection import ConnectionOrigin, LeanConnection, StaleConnection
from gateway.upstream.http1.happy_eyeballs import AddressRefused, connected_socket, permitted_addresses
from gateway.upstream.http1.pool import IDLE_EXPIRY, IDLE_LIMIT, IdlePool
from gateway.upstream.http1.request import ParsedUrl, detoured, post_head, request_head, target, target_of
from gateway.upstream.http1.response import LeanAnswer
from gateway.upstream.http1.spare import SpareConnections
from gateway.upstream.http1.tls_sessions import TLSSessions
from gateway.upstream.http1.tunnel import Dialogue, ProxyFailed, connect, refused, socks

# of providers with certificates of their own: more than anybody has, and a bound
MOST_IDENTITIES: Final = 256


class LeanTransport(httpx.AsyncBaseTransport):
    """One per event loop. `ssl_context` replaces httpx's own (certifi, SSL_CERT_FILE).

    `link_local`: whether it may connect to link-local addresses. `warm`: idle connections that are kept
    open to each origin that was asked of late.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None = None,
        *,
        idle_limit: int = IDLE_LIMIT,
        idle_expiry: float = IDLE_EXPIRY,
        link_local: bool = False,
        warm: int = 0,
    ) -> None:
        self._link_local = link_local
        self._ssl_context = ssl_context
        self._sessions = None if ssl_context is None else TLSSessions(ssl_context)
        self._ssl_lock = asyncio.Lock()
        self._identities: GenerationalCache[TLSIdentity, ssl.SSLContext] = GenerationalCache(MOST_IDENTITIES)
        self._pool = IdlePool(idle_limit, idle_expiry)
        self._spare = SpareConnections(warm, self._pool.waiting, self._open_spare)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's entry point; extensions `proxy` and `tls` as in `post`. Raises httpx.TransportError."""
        place = target_of(request.url)
        proxy, tls = request.extensions.get("proxy"), request.extensions.get("tls")
        if proxy is not None or tls is not None:
            place = detoured(place, proxy, tls)
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
        proxy: Proxy | None = None,
        tls: TLSIdentity | None = None,
    ) -> LeanAnswer:
        """The short way, without httpx's request and response objects: the answer, once its head is here.

        `proxy`: what to go through; `tls`: which CAs to trust, and what to show the server.
        Raises httpx.TransportError, httpx.InvalidURL, UnicodeEncodeError, UnusableCertificate.
        """
        place = target(url)
        if proxy is not None or tls is not None:
            place = detoured(place, proxy, tls)
        head = post_head(place, headers, len(content))
        return await self._exchanged(place, head, content, connect_timeout, write_timeout)

    async def aclose(self) -> None:
        """Close every connection; exchanges on them fail."""
        self._spare.close()
        self._pool.close()

    def warm_up(self, url: str) -> None:
        """Requests to this URL are expected: where spare connections are kept, open them now."""
        self._spare.asked(target(url).origin)

    async def _open_spare(self, origin: ConnectionOrigin, timeout: float) -> None:
        connection = await self._connected(origin, timeout)
        if connection.usable:
            connection.spare()

    async def _exchanged(
        self,
        place: ParsedUrl,
        head: bytes,
        content: bytes,
        connect_timeout: float | None,
        write_timeout: float | None,
    ) -> LeanAnswer:
        self._spare.asked(place.origin)
        kept = self._pool.take(place.origin)
        if kept is not None:
            # The server may close a kept connection while the request is on its way. A POST is repeated
            # only in that case: the connection was a kept one, it ended within about a round trip, and no
            # byte of an answer came. If the server had started anyway, a completion is computed in vain;
            # it leaves no state behind. Everything later is the relay's business, which counts, spaces and
            # records its attempts.
            try:
                return _from_provider(place, await _answered(kept, head, content, write_timeout))
            except StaleConnection:
                pass
        made = await self._connected(place.origin, connect_timeout)
        answer = await _answered(made, head, content, write_timeout)
        if self._sessions is not None and place.origin.scheme == "https" and place.origin.tls is None:
            self._sessions.keep(made.tls)
        return _from_provider(place, answer)

    async def _connected(self, origin: ConnectionOrigin, timeout: float | None) -> LeanConnection:
        """Open a new connection, TLS included. Raises httpx.ConnectError or httpx.ConnectTimeout."""
        loop = asyncio.get_running_loop()
        connection = LeanConnection(origin, self._pool, loop)
        try:
            async with asyncio.timeout(timeout):
                context = await self._tls(origin.tls) if origin.scheme == "https" else None
                if origin.proxy is not None:
                    await self._through(origin.proxy, connection, context)
                    return self._kept(connection)
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
        return self._kept(connection)

    def _kept(self, connection: LeanConnection) -> LeanConnection:
        """The connection, which the pool closes at the end unless it has ended already."""
        if connection.usable:
            self._pool.add(connection)
        return connection

    async def _through(
        self, proxy: Proxy, connection: LeanConnection, context: ssl.SSLContext | None
    ) -> None:
        """Give the connection a transport that leads to its origin through the proxy.

        Raises ProxyFailed, OSError.
        """
        loop = asyncio.get_running_loop()
        origin = connection.origin
        host = origin.host
        if not self._link_local and is_refused_host(host):
            # the proxy would resolve the name, and none of our sockets would see the address
            raise AddressRefused(f"{host} is a link-local address")
        if proxy.scheme == "socks5":
            host = (await permitted_addresses(host, origin.port, link_local=self._link_local))[0][4][0]
        dialogue = await self._at_the_proxy(proxy)
        assert dialogue.transport is not None
        transport: asyncio.BaseTransport | None = dialogue.transport
        try:
            if proxy.is_socks:
                await socks(dialogue, proxy, host.partition("%")[0], origin.port)
            elif context is not None:
                await connect(dialogue, proxy, host, origin.port)
            if context is None:
                dialogue.transport.set_protocol(connection)
            else:
                transport = await loop.start_tls(
                    dialogue.transport, connection, context, server_hostname=origin.host
                )
            assert transport is not None
            connection.connection_made(transport)
        except BaseException:
            dialogue.transport.abort()
            connection.abort()
            raise

    async def _at_the_proxy(self, proxy: Proxy) -> Dialogue:
        """A connection to the proxy itself. Raises ProxyFailed."""
        loop = asyncio.get_running_loop()
        dialogue = Dialogue()
        # a proxy's own certificate is not signed by the CA of one provider
        context = await self._tls(None) if proxy.scheme == "https" else None
        try:
            socket = await connected_socket(proxy.host, proxy.port, link_local=self._link_local)
            await loop.create_connection(
                lambda: dialogue, sock=socket, ssl=context, server_hostname=proxy.host if context else None
            )
        except AddressRefused:
            raise
        except OSError as problem:
            raise ProxyFailed(str(problem)) from problem
        except BaseException:
            if dialogue.transport is not None:
                dialogue.transport.abort()
            raise
        return dialogue

    async def _tls(self, identity: TLSIdentity | None) -> ssl.SSLContext:
        # reading the certificates takes tens of milliseconds: once, and off the loop
        async with self._ssl_lock:
            if identity is not None:
                context = self._identities.get(identity)
                if context is None:
                    context = await asyncio.to_thread(_context_of, identity)
                    self._identities.put(identity, context)
                return context
            if self._ssl_context is None:
                self._ssl_context = await asyncio.to_thread(_ssl_context)
                self._sessions = TLSSessions(self._ssl_context)
            return self._ssl_context


def _ssl_context() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    # on by default since Python 3.13; the CAs that companies make rarely have all of its extensions
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    return context


def _context_of(identity: TLSIdentity) -> ssl.SSLContext:
    if not identity.ca:
        return with_identity(_ssl_context(), identity.certificate, identity.key)
    context = tls_context(identity.ca, identity.certificate, identity.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _from_provider(place: ParsedUrl, answer: LeanAnswer) -> LeanAnswer:
    """The answer, unless it is the proxy's own. Raises ProxyFailed."""
    if answer.status == 407 and place.origin.proxy is not None and place.path.startswith(b"http://"):
        answer.close()
        raise refused(407)
    return answer


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
