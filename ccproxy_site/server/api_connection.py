"""ApiConnection: HTTP/1.1 as clients of the API speak it, without Twisted's channel and Daphne's request.

A request of the API is one POST with a Content-Length. Twisted reads it line by line, stores its headers
three times and writes the answer's through two sanitizers; for a small request that was a fifth of the
CPU (docs/performance.md, "What changed it"). Here httptools parses the head, the body is cut out by its
length, and the application runs on it at once. A body that did not come with its head is awaited only when
the head allows it (gateway/api/head.py); otherwise the answer is given at once.

Everything else (another method or path, HTTP/1.0, chunks, an upgrade, an invalid head) goes to Daphne's
protocol with all the bytes that came, and so does the rest of that connection: there is one way for pages
and WebSockets, and it is Daphne's.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools

from ccproxy_site.server.api_request import ApiRequest
from ccproxy_site.server.connections.slot import ConnectionPhase, ConnectionSlot
from ccproxy_site.server.transport import HIGH_WATER, MOST_AHEAD, Connection
from gateway.api.request import lower_headers

OURS: Final = b"POST /v1/"
# Twisted's limit; Daphne refuses a longer head
LONGEST_HEAD: Final = 16 * 1024
# of a length that some body could have
MOST_DIGITS: Final = 18
# Smaller pieces of a body are gathered: as an object each, bytes would take fifty times their size.
SMALL: Final = 4 * 1024

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
        "_kept",
        "_loop",
        "_paused",
        "_pieces",
        "_request",
        "_rest",
        "_server",
        "_slot",
        "client",
        "local",
        "transport",
    )

    def __init__(self, factory: Any) -> None:
        self._factory = factory
        self._server = factory.server
        self._loop = asyncio.get_running_loop()
        # of the arriving request: the bytes of its head, then of its body
        self._pieces: list[bytes | bytearray] = []
        self._head: _Head | None = None
        # bytes of its body that are still to come, and whether anybody wants them
        self._rest = 0
        self._kept = True
        self._request: ApiRequest | None = None
        # data that came after the request being answered
        self._ahead = bytearray()
        self._paused = False
        self._close = False
        self._drained: asyncio.Future[None] | None = None

    # --- asyncio's side -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do everything that asyncio.Transport does, without being subclasses
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        self.client = _address(transport.get_extra_info("peername"))
        self.local = _address(transport.get_extra_info("sockname"))
        self._slot: ConnectionSlot = self._factory.connections.admit(self.transport)
        self._slot.forget = self._forget

    def data_received(self, data: bytes) -> None:
        if self._slot.refused:
            self._slot.dropped(len(data))
        elif self._request is not None or self._drained is not None:
            self._wait_with(data)
        elif self._head is None:
            self._pieces.append(data)
            self._look_for_head()
        else:
            self._body_came(data)

    def connection_lost(self, problem: Exception | None) -> None:
        self._slot.gone()
        waiting, self._drained = self._drained, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        self._forget()
        if self._request is not None:
            self._request.left()

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()
        self._slot.held_back()

    def resume_writing(self) -> None:
        self._slot.reads_on()
        waiting, self._drained = self._drained, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        if self._request is None:
            self._go_on()

    # --- the request's side -----------------------------------------------------------

    @property
    def held_back(self) -> bool:
        """More is waiting for the client than HIGH_WATER."""
        return self._drained is not None

    async def drained(self) -> None:
        """Wait until the client has read enough, or is gone."""
        if self._drained is not None:
            # several writers may wait, and cancelling one must not affect the others
            await asyncio.shield(self._drained)

    def answered(self) -> None:
        """The answer is written; the next request may come, or is already here."""
        self._request = None
        if self._close:
            self.close()
            return
        self._slot.idle()
        # a client that reads no answers gets no more of them
        if self._drained is None:
            self._go_on()

    def close(self) -> None:
        """End the connection once everything written has gone out."""
        self._slot.close()

    def _go_on(self) -> None:
        if self._ahead:
            data = bytes(self._ahead)
            self._ahead.clear()
            self.data_received(data)
        # Of many small requests one is answered now, and the rest still waits: reading on for each of them
        # would take in far more than they give back.
        if len(self._ahead) <= MOST_AHEAD:
            self._read_on()

    def _read_on(self) -> None:
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    # --- requests as they arrive ------------------------------------------------------

    def _look_for_head(self) -> None:
        data = b"".join(self._pieces)
        self._pieces[:] = [data]
        if not data.startswith(OURS[: len(data)]):
            self._hand_over()
            return
        end = data.find(_END)
        if end > LONGEST_HEAD or (end < 0 and len(data) > LONGEST_HEAD):
            self._hand_over()
            return
        if end < 0:
            if self._slot.phase is ConnectionPhase.IDLE:
                self._slot.head()
            return
        head = _head_of(data[: end + len(_END)])
        if head is None:
            self._hand_over()
            return
        rest = data[end + len(_END) :]
        self._pieces.clear()
        self._head, self._rest, self._kept = head, head.length, True
        if len(rest) < head.length:
            self._kept = self._slot.whole_head(
                b"POST",
                head.url.partition(b"?")[0],
                lower_headers(head.headers),
                self.client[0] if self.client else "",
                head.length,
            )
        self._body_came(rest)

    def _body_came(self, data: bytes) -> None:
        rest = self._rest
        if len(data) > rest:
            self._ahead += data[rest:]
            data = data[:rest]
        self._rest = rest - len(data)
        if self._rest == 0:
            if self._kept:
                self._pieces.append(data)
            self._complete()
            return
        self._slot.received(len(data))
        if not self._kept or self._slot.refused:
            return
        if len(data) >= SMALL:
            self._pieces.append(data)
        elif self._pieces and isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += data
        else:
            self._pieces.append(bytearray(data))

    def _forget(self) -> None:
        """What arrived was refused."""
        self._pieces.clear()
        self._ahead.clear()

    def _complete(self) -> None:
        """The whole request is here."""
        head, pieces = self._head, self._pieces
        assert head is not None
        # of a single piece no copy is made
        body = b"".join(pieces)
        self._pieces, self._head = [], None
        self._close = head.close
        self._slot.answering()
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
            closing=self._close,
        )

    def _wait_with(self, data: bytes) -> None:
        self._ahead += data
        if not self._paused and len(self._ahead) > MOST_AHEAD:
            self._paused = True
            self.transport.pause_reading()

    def _hand_over(self) -> None:
        """Hand this connection to Daphne, from its last request on."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._read_on()
        usual = Connection(self._factory, self._slot)
        usual.connection_made(self.transport)
        self.transport.set_protocol(usual)
        usual.data_received(data)


class _Head:
    """A parsed head. `length`: of the body; `close`: the client wants the connection closed afterwards."""

    __slots__ = ("close", "headers", "hosts", "length", "other", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.hosts = 0
        self.length = -1
        self.close = False
        self.other = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-length":
            # repeated, or not a number: leave the judgement to Daphne
            fits = value.isdigit() and len(value) <= MOST_DIGITS
            self.other = self.other or self.length >= 0 or not fits
            self.length = -1 if self.other else int(value)
        elif name == b"connection":
            self.close = b"close" in value.lower()
        elif name == b"host":
            self.hosts += 1
        elif name in _OTHERS:
            self.other = True
        # as Daphne does: `x_api_key` must not pass for `x-api-key`
        if b"_" not in name:
            self.headers.append((name, value))


def _head_of(data: bytes) -> _Head | None:
    """`data` as a head, including its empty line; None when it is not for us."""
    head = _Head()
    if len(data.translate(None, _NOT_TEXT)) != len(data):
        return None
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    framed = head.length >= 0 and head.hosts == 1
    if head.other or not framed or parser.get_http_version() != "1.1" or not head.url.isascii():
        return None
    return head


def _address(name: Any) -> list[Any] | None:
    return [name[0], name[1]] if name else None
