"""UpstreamClient: one HTTP POST to a provider; its answer arrives as bytes.

Only this module, connection_errors.py, in_process_transport.py and the transport in `http1` know the HTTP
client library. Callers see our own values and errors. All timers except the connect timeout belong to
the relay, because it must send pings while it waits.

The lean transport (`http1`) is the usual one; the library's own is a choice of the admin's. Proxies
and certificates of single providers are always the lean one's business: the library reads the
environment's proxies in its own way, and knows them for all hosts or none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol, cast

import httpx

from gateway.errors import GatewayError, UpstreamBroken
from gateway.routing.network_path import Proxy, TLSIdentity
from gateway.security.destinations import is_link_local, leads_to_refused_host
from gateway.upstream.connection_errors import LedAstray, connection_error
from gateway.upstream.content_coding import decoded
from gateway.upstream.http1.proxies import ProxyVariables
from gateway.upstream.http1.request import as_bytes
from gateway.upstream.http1.response import LeanAnswer
from gateway.upstream.http1.transport import LeanTransport
from gateway.upstream.in_process_transport import InProcessHandler, InProcessTransport
from gateway.upstream.request_builder import UpstreamCall

# httpcore scans every idle connection for each request: keep few idle and allow many busy ones.
LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30)
WRITE_TIMEOUT: Final = 60.0
_UNCOMPRESSED: Final = {"accept-encoding": "identity"}
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
CUT: Final = "upstream closed the stream before the response was complete"


class UpstreamAnswer:
    """A provider's answer whose head has arrived. `headers` have lower-case names."""

    __slots__ = ("_body", "_close", "_lean", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        body: AsyncIterable[bytes],
        close: Callable[[], Awaitable[None]],
        lean: LeanAnswer | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self._body = body
        self._close = close
        self._lean = lean

    def __del__(self) -> None:
        # A task cancelled before its first step never reaches its `finally`.
        if self._lean is not None:
            self._lean.abandon()

    @property
    def content_type(self) -> str:
        """The media type without parameters, lower case; "" when missing."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises UpstreamBroken when the connection breaks."""
        return _Pieces(self, aiter(self._body))

    def deliver(self, inbox: Deliverable) -> bool:
        """Deliver the body to `inbox` as it arrives, without a task that fetches it.

        Returns False when this answer's transport cannot; read `pieces` then.
        """
        if self._lean is None or self._body is not self._lean:
            return False
        # whoever takes the body has read the head
        self.headers = NOTHING
        inbox.fed_by(self._lean)
        self._lean.deliver(_Delivery(inbox))
        return True

    def cut(self) -> None:
        """Like `close`, for a delivered answer: immediate and final."""
        if self._lean is not None:
            self._lean.close()

    @property
    def complete(self) -> bool:
        """A delivered answer is complete: there is nothing left to cut off."""
        return self._lean is not None and self._lean.complete

    def at_hand(self) -> bytes:
        """The part of the body that is waiting; b"" when there is none, or the transport cannot tell."""
        return self._lean.at_hand() if self._lean is not None and self._body is self._lean else b""

    def whole(self, limit: int) -> bytes | None:
        """The whole body if it has already arrived, so that nobody has to wait; else None: read it.

        Raises UpstreamBroken when it is longer than `limit` bytes.
        """
        if self._lean is None or self._body is not self._lean:
            return None
        body = self._lean.whole()
        if body is not None and len(body) > limit:
            raise _too_long(limit)
        return body

    async def body(self, limit: int, alive: Callable[[], None] | None = None) -> bytes:
        """The whole body. Raises UpstreamBroken when it breaks off or is longer than `limit` bytes.

        `alive` is called with each piece that arrives.
        """
        parts: list[bytes] = []
        size = 0
        async for piece in self.pieces():
            if alive is not None:
                alive()
            size += len(piece)
            if size > limit:
                raise _too_long(limit)
            parts.append(piece)
        return b"".join(parts)

    async def beginning(self, limit: int, seconds: float) -> tuple[bytes, bool]:
        """As much of the body as comes within `limit` bytes and `seconds`, and whether that is all of it."""
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(seconds):
                async for piece in self.pieces():
                    parts.append(piece)
                    size += len(piece)
                    if size > limit:
                        return b"".join(parts)[:limit], False
        except (TimeoutError, UpstreamBroken):
            return b"".join(parts), False
        return b"".join(parts), True

    async def close(self) -> None:
        """Return the connection to the pool, or close it when the body was not read to its end."""
        if self._lean is not None:
            self._lean.close()
            return
        with contextlib.suppress(httpx.HTTPError):
            await self._close()


def _too_long(limit: int) -> UpstreamBroken:
    return UpstreamBroken(f"upstream sent a body larger than {limit} bytes")


class Feed(Protocol):
    """Something that feeds an inbox and can be told to pause."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Deliverable(Protocol):
    """The relay's inbox, as an answer sees it."""

    def fed_by(self, feed: Feed) -> None: ...

    def put(self, piece: bytes) -> None: ...

    def end(self) -> None: ...

    def fail(self, failure: GatewayError) -> None: ...


class _Delivery:
    """The transport's view of an inbox: the same, with the library's errors turned into ours."""

    __slots__ = ("_inbox", "end", "put")

    def __init__(self, inbox: Deliverable) -> None:
        self._inbox = inbox
        self.put = inbox.put
        self.end = inbox.end

    def fail(self, failure: httpx.TransportError | httpx.StreamClosed) -> None:
        broken = UpstreamBroken(CUT)
        broken.__cause__ = failure
        self._inbox.fail(broken)


class _Pieces:
    """An iterator that raises our errors.

    Not a generator: a cancelled read does not end it, and it keeps its answer alive.
    """

    __slots__ = ("_answer", "_next")

    def __init__(self, answer: UpstreamAnswer, body: AsyncIterator[bytes]) -> None:
        # as long as somebody reads, the answer is not abandoned
        self._answer = answer
        self._next = body.__anext__

    def __aiter__(self) -> _Pieces:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._next()
        except (httpx.TransportError, httpx.StreamError, httpx.DecodingError) as problem:
            raise UpstreamBroken(CUT) from problem


class UpstreamClient:
    """Opens calls. One per process and event loop; `close` it at the end.

    `demo` answers the calls marked as demo. `lean`: use the lean transport; otherwise every call
    takes the library's own. `transport` replaces the network (tests). `link_local`: whether calls
    may reach link-local and metadata addresses. `warm`: spare connections for each provider that was asked
    of late.
    """

    def __init__(
        self,
        demo: InProcessHandler | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        lean: bool = True,
        link_local: bool = False,
        warm: int = 0,
    ) -> None:
        self._link_local = link_local
        given = isinstance(transport, LeanTransport)
        self._lean = (
            cast(LeanTransport, transport) if given else LeanTransport(link_local=link_local, warm=warm)
        )
        self._usually_lean = given or (lean and transport is None)
        # a transport from outside replaces the network, proxies included
        self._proxies = ProxyVariables(None if given or transport is None else {})
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        self._lean_http: httpx.AsyncClient | None = None
        self._demo = httpx.AsyncClient(transport=InProcessTransport(demo)) if demo else None

    async def open(self, call: UpstreamCall) -> UpstreamAnswer:
        """Send the call and wait for the head of the answer.

        Raises UpstreamUnreachable (with the reason) or UpstreamTimedOut.
        """
        try:
            if call.demo and self._demo is not None:
                return await _sent(self._demo, call)
            proxy, tls = self._way_to(call)
            if self._usually_lean or proxy is not None or tls is not None:
                return await _posted(self._lean, call, proxy, tls)
            return await self._sent_by_library(call, "POST")
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError, ValueError) as problem:
            raise connection_error(problem) from problem

    async def get(self, call: UpstreamCall) -> UpstreamAnswer:
        """GET `call.url` without a body; for admins, outside the request path.

        Raises UpstreamUnreachable (with the reason) or UpstreamTimedOut.
        """
        try:
            proxy, tls = self._way_to(call)
            if proxy is not None or tls is not None:
                if self._lean_http is None:
                    self._lean_http = httpx.AsyncClient(transport=self._lean)
                return await _sent(self._lean_http, call, "GET", proxy=proxy, tls=tls)
            return await self._sent_by_library(call, "GET")
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError, ValueError) as problem:
            raise connection_error(problem) from problem

    def warm_up(self, urls: Iterable[str]) -> None:
        """Providers at these URLs may be asked soon. A URL that is no web address is passed over."""
        for url in urls:
            with contextlib.suppress(httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError, ValueError):
                if self._usually_lean and self._proxies.proxy_for(url) is None:
                    self._lean.warm_up(url)

    async def close(self) -> None:
        """Close every connection."""
        for http in (self._http, self._lean_http, self._demo):
            if http is not None:
                await http.aclose()
        await self._lean.aclose()

    def _way_to(self, call: UpstreamCall) -> tuple[Proxy | None, TLSIdentity | None]:
        """The proxy and the TLS identity of a call. Raises UnusableProxy for one of the variables."""
        way = call.network
        if way is None:
            return self._proxies.proxy_for(call.url), None
        if way.proxy is not None or way.direct:
            return way.proxy, way.tls
        return self._proxies.proxy_for(call.url), way.tls

    async def _sent_by_library(self, call: UpstreamCall, method: str) -> UpstreamAnswer:
        if self._link_local:
            return await _sent(self._stock(), call, method)
        if leads_to_refused_host(call.url):
            raise LedAstray("a link-local address")
        return await _sent(self._stock(), call, method, trace=_refuse_link_local)

    def _stock(self) -> httpx.AsyncClient:
        """The library's client, created when first needed because it loads certificates."""
        if self._http is None:
            # given a transport, it reads no proxies from the environment
            self._http = httpx.AsyncClient(
                transport=self._transport or httpx.AsyncHTTPTransport(limits=LIMITS, http2=False),
                follow_redirects=False,
                headers={},
            )
        return self._http


async def _posted(
    lean: LeanTransport, call: UpstreamCall, proxy: Proxy | None, tls: TLSIdentity | None
) -> UpstreamAnswer:
    answer = await lean.post(
        call.url,
        call.headers,
        call.content,
        connect_timeout=call.connect_timeout,
        write_timeout=WRITE_TIMEOUT,
        proxy=proxy,
        tls=tls,
    )
    headers = _readable(answer.headers)
    body = decoded(answer, headers.get("content-encoding", ""))
    answer.headers = []
    return UpstreamAnswer(answer.status, headers, body, answer.aclose, answer)


async def _refuse_link_local(event: str, facts: dict[str, Any]) -> None:
    """A trace hook for httpcore: closes a connection to a refused address before a byte is sent on it."""
    if event != "connection.connect_tcp.complete":
        return
    stream = facts["return_value"]
    peer = stream.get_extra_info("server_addr")
    if peer and is_link_local(str(peer[0])):
        await stream.aclose()
        raise LedAstray("a link-local address")


async def _sent(
    http: httpx.AsyncClient, call: UpstreamCall, method: str = "POST", **extensions: Any
) -> UpstreamAnswer:
    request = http.build_request(
        method,
        call.url,
        content=call.content or None,
        headers=as_bytes({**_UNCOMPRESSED, **call.headers}),
        timeout=httpx.Timeout(
            connect=call.connect_timeout, read=None, write=WRITE_TIMEOUT, pool=call.connect_timeout
        ),
        extensions=extensions,
    )
    response = await http.send(request, stream=True)
    headers = dict(response.headers.items())
    # the library's own decoding has no bounds
    assert isinstance(response.stream, httpx.AsyncByteStream)
    body = decoded(response.stream, headers.get("content-encoding", ""))
    return UpstreamAnswer(response.status_code, headers, body, response.aclose)


def _readable(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Raw headers with lower-case names; repeated headers are joined."""
    readable: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        readable[name] = f"{readable[name]}, {value}" if name in readable else value
    return readable
