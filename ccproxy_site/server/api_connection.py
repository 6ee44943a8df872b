"""ApiConnection: HTTP/1.1 as the API's clients speak it, without Twisted's channel and Daphne's request.

A request of the API is one POST with a Content-Length. Twisted reads it line by line,
stores its headers three times over and writes the answer's through two sanitizers; of a
small request that was a fifth of the CPU (docs/performance.md). Here its head is parsed
by httptools, the body is cut out by its length, and the application runs on it at once.

Whatever else arrives (another method or path, HTTP/1.0, chunks, an upgrade, a head that
is not valid) is handed to Daphne's protocol with all the bytes that came, and so is the
rest of that connection: there is one way for pages and WebSockets, and it is Daphne's.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools

from ccproxy_site.server.api_request import ApiRequest
from ccproxy_site.server.handler import EXCESS
from ccproxy_site.server.transport import HIGH_WATER, Connection
from gateway.conf import gateway_conf

OURS: Final = b"POST /v1/"
# a head that is longer is Daphne's to refuse
LONGEST_HEAD: Final = 64 * 1024
# requests that are sent before the answer to the one before them; more is not read
MOST_AHEAD: Final = 16 * 1024
# As Twisted's: so long may a connection be silent unless a request is being answered,
# and so long may its end take.
IDLE_SECONDS: Final = 60.0
ABORT_SECONDS: Final = 15.0

_END: Final = b"\r\n\r\n"
_OTHERS: Final = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"daphne-root-path"})
# what Daphne refuses in a header, and the other control characters
_NOT_TEXT: Final = bytes({*range(32), 0x7F, 0x85} - set(b"\t\r\n"))


class ApiConnection(asyncio.Protocol):
    """One accepted connection. `factory`: Daphne's, with its server."""

    __slots__ = (
        "_ahead",
        "_close",
        "_drained",
        "_factory",
        "_head",
        "_loop",
        "_most",
        "_paused",
        "_pieces",
        "_request",
        "_server",
        "_silent_since",
        "_size",
        "client",
        "local",
        "transport",
    )

    def __init__(self, factory: Any) -> None:
        self._factory = factory
        self._server = factory.server
        self._loop = asyncio.get_running_loop()
        # of the request that is arriving: the bytes of its head, then of its body
        self._pieces: list[bytes] = []
        self._size = 0
        self._head: _Head | None = None
        self._most = gateway_conf().max_body_bytes + EXCESS + 1
        self._request: ApiRequest | None = None
        # what came behind the request that is being answered
        self._ahead: list[bytes] = []
        self._paused = False
        self._close = False
        self._drained: asyncio.Future[None] | None = None
        self._silent_since = self._loop.time()

    # --- asyncio's side -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do everything an asyncio.Transport does without being one
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        self.client = _address(transport.get_extra_info("peername"))
        self.local = _address(transport.get_extra_info("sockname"))
        self._factory.silences.add(self)

    def data_received(self, data: bytes) -> None:
        if self._request is not None:
            self._wait_with(data)
            return
        self._silent_since = self._loop.time()
        self._pieces.append(data)
        self._size += len(data)
        if self._head is None:
            self._look_for_head()
        elif self._size >= self._expected(self._head):
            self._complete()

    def connection_lost(self, problem: Exception | None) -> None:
        self._factory.silences.discard(self)
        self.resume_writing()
        self._pieces.clear()
        if self._request is not None:
            self._request.left()

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        waiting, self._drained = self._drained, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    # --- the request's side -----------------------------------------------------------

    @property
    def held_back(self) -> bool:
        """More is waiting for the client than HIGH_WATER."""
        return self._drained is not None

    async def drained(self) -> None:
        """Wait until the client has taken enough, or is gone."""
        if self._drained is not None:
            # several writers may wait; one of them being cancelled is no news for the others
            await asyncio.shield(self._drained)

    def answered(self) -> None:
        """The answer is written; the next request may come, or has come already."""
        self._request = None
        if self._close:
            self.transport.close()
            return
        self._silent_since = self._loop.time()
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()
        if self._ahead:
            data = b"".join(self._ahead)
            self._ahead.clear()
            self.data_received(data)

    # --- requests as they arrive ------------------------------------------------------

    def _look_for_head(self) -> None:
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces[:] = [data]
        if not data.startswith(OURS[: len(data)]):
            self._hand_over()
            return
        end = data.find(_END)
        if end < 0:
            if len(data) > LONGEST_HEAD:
                self._hand_over()
            return
        head = _head_of(data[: end + len(_END)])
        if head is None:
            self._hand_over()
            return
        rest = data[end + len(_END) :]
        self._pieces[:] = [rest]
        self._size, self._head = len(rest), head
        if self._size >= self._expected(head):
            self._complete()

    def _complete(self) -> None:
        """The whole request is here."""
        head, pieces = self._head, self._pieces
        assert head is not None
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        cut = self._size < head.length
        if self._size > head.length:
            self._ahead.append(body[head.length :])
            body = body[: head.length]
        self._pieces, self._size, self._head = [], 0, None
        self._close = head.close or cut
        path, _, query = head.url.partition(b"?")
        self._request = ApiRequest(self, self._server)
        self._request.begin(
            {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": "POST",
                "path": unquote(path.decode("ascii")),
                "raw_path": path,
                "root_path": self._server.root_path,
                "scheme": "http",
                "query_string": query,
                "headers": head.headers,
                "client": self.client,
                "server": self.local,
            },
            body,
            cut=cut,
            closing=self._close,
        )

    def _expected(self, head: _Head) -> int:
        """So many bytes of the body are waited for: of one that is too large no more than that needs."""
        return min(head.length, self._most)

    def _wait_with(self, data: bytes) -> None:
        self._ahead.append(data)
        if not self._paused and sum(map(len, self._ahead)) > MOST_AHEAD:
            self._paused = True
            self.transport.pause_reading()

    def _hand_over(self) -> None:
        """This connection is Daphne's from its last request on."""
        self._factory.silences.discard(self)
        data = b"".join(self._pieces)
        self._pieces.clear()
        usual = Connection(self._factory)
        usual.connection_made(self.transport)
        self.transport.set_protocol(usual)
        usual.data_received(data)

    # --- silence ------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Close the connection when it has been silent for long; cut it when that takes long."""
        if self._request is not None:
            return
        silent = now - self._silent_since
        if silent >= IDLE_SECONDS + ABORT_SECONDS:
            self.transport.abort()
        elif silent >= IDLE_SECONDS:
            self.transport.close()


class _Head:
    """A parsed head. `length`: of the body; `close`: the client wants the connection closed behind it."""

    __slots__ = ("close", "headers", "length", "other", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.length = -1
        self.close = False
        self.other = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-length":
            # twice, or no number: not for us to judge
            self.other = self.other or self.length >= 0 or not value.isdigit()
            self.length = -1 if self.other else int(value)
        elif name == b"connection":
            self.close = b"close" in value.lower()
        elif name in _OTHERS:
            self.other = True
        # as Daphne: `x_api_key` must not pass for `x-api-key`
        if b"_" not in name:
            self.headers.append((name, value))


def _head_of(data: bytes) -> _Head | None:
    """The head that `data` is, with its empty line; None when it is not for us."""
    head = _Head()
    if len(data.translate(None, _NOT_TEXT)) != len(data):
        return None
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    if head.other or head.length < 0 or parser.get_http_version() != "1.1" or not head.url.isascii():
        return None
    return head


def _address(name: Any) -> list[Any] | None:
    return [name[0], name[1]] if name else None
