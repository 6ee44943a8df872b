"""LeanConnection: HTTP/1.1 on one connection, one exchange after another.

    idle       no exchange: a byte or the end of file makes the connection useless
    waiting    the request is on its way; the head of the answer has not arrived
    answering  the head was parsed; the body is arriving
    closed     for good

Each exchange gets a new parser: a parser keeps trailers until the next header arrives and must not
hand them to the next answer. Bodies end by Content-Length, by the last chunk or, with neither, when
the connection ends.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, cast

import httptools
import httpx

from gateway.routing.network_path import Proxy, TLSIdentity
from gateway.upstream.http1.response import LeanAnswer

# of status line, headers, 1xx answers, trailers and chunk framing between two pieces of body
MAX_HEAD: Final = 100 * 1024
MAX_HEADERS: Final = 256
# up to this size, copying head and body into one piece is cheaper than two writes
JOINED: Final = 64 * 1024
# of a large request that goes to a TLS layer at once, which would take all of it and tell of no server that
# does not read
PIECE: Final = 64 * 1024
# If the server has closed an idle connection, it shows within one round trip.
STALE_WINDOW: Final = 2.0


class ConnectionOrigin(NamedTuple):
    """What a connection leads to, and how: only equal ones share connections.

    `host` is ASCII, IPv6 without brackets.
    """

    scheme: str
    host: str
    port: int
    proxy: Proxy | None = None
    tls: TLSIdentity | None = None


class StaleConnection(httpx.ReadError):
    """A kept connection proved closed before a byte of the answer: try a fresh one."""


class Owner(Protocol):
    """The pool, as its connections see it."""

    def idle(self, connection: LeanConnection) -> None: ...

    def lost(self, connection: LeanConnection) -> None: ...


class LeanConnection(asyncio.Protocol):
    """`start` an exchange when `usable`; everything that happens is reported to the answer."""

    __slots__ = (
        "_answer",
        "_arrived",
        "_barren",
        "_closed",
        "_complete",
        "_header_bytes",
        "_headers",
        "_held_back",
        "_keep_alive",
        "_loop",
        "_owner",
        "_parser",
        "_parts",
        "_paused",
        "_rest",
        "_sent_at",
        "_transport",
        "_unsent",
        "_until_close",
        "_used",
        "_write_timeout",
        "_write_timer",
        "on_body",
        "origin",
    )

    def __init__(self, origin: ConnectionOrigin, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self.origin = origin
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._answer: LeanAnswer | None = None
        self._parser: httptools.HttpResponseParser | None = None
        # the bodies of the HTTP chunks of one read; the parser appends without a Python frame
        self._parts: list[bytes] = []
        self.on_body: Callable[[bytes], None] = self._parts.append
        self._used = self._closed = self._paused = self._held_back = False
        # of the request, what the transport has not been given yet
        self._rest = memoryview(b"")
        self._write_timeout: float | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        # bytes of the request that waited for the server when the timer was set
        self._unsent = 0
        self._sent_at = 0.0
        self._reset()

    def _reset(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._barren = 0
        self._arrived = self._complete = self._keep_alive = self._until_close = False

    # --- the pool's side ------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Open, and no exchange on it."""
        transport = self._transport
        return not (self._closed or self._answer or transport is None or transport.is_closing())

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS object of the connection; None without TLS."""
        return None if self._transport is None else self._transport.get_extra_info("ssl_object")

    def spare(self) -> None:
        """It was opened ahead of need: it waits in the pool, and its first request may find it closed."""
        self._used = True
        self._owner.idle(self)

    def start(self, head: bytes, content: bytes, write_timeout: float | None = None) -> LeanAnswer:
        """Write the request; the answer's `head` waits for the result.

        `write_timeout`: seconds in which the server must read some of a request that waits for it.
        """
        assert self._transport is not None and self._answer is None
        self._reset()
        self._parser = httptools.HttpResponseParser(self)
        # Tolerated as other clients do: both framings at once (chunks win), bare line feeds, padded chunk
        # sizes. Nobody behind us could read the same bytes differently.
        self._parser.set_dangerous_leniencies(
            lenient_chunked_length=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        answer = self._answer = LeanAnswer(self, self._loop)
        self._write_timeout = write_timeout
        self._sent_at = self._loop.time()
        if len(content) <= JOINED:
            self._transport.write(head + content)
        elif self.tls is not None:
            self._transport.write(head)
            self._rest = memoryview(content)
            self._write_on()
        else:
            self._transport.writelines((head, content))
        return answer

    def abort(self) -> None:
        """Close at once; an exchange on it fails."""
        if self._closed:
            return
        self._closed = True
        self._rest = memoryview(b"")
        self._owner.lost(self)
        if self._answer is not None:
            self._failed(httpx.ReadError("the connection was closed on this side"))
        self._no_write_timer()
        if self._transport is not None:
            self._transport.abort()

    # --- the answer's side ------------------------------------------------------------

    def pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def give_up(self, answer: LeanAnswer) -> None:
        """Nobody takes the rest. (A connection whose answer has ended may already serve another one.)"""
        if self._answer is answer:
            self._answer = self._parser = None
            self.abort()

    # --- asyncio's side -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self.tls is not None:
            self._transport.set_write_buffer_limits(high=PIECE)
        if self._closed:
            # abandoned while it was being opened
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        answer, parser = self._answer, self._parser
        if answer is None or parser is None:
            # unsolicited: usually a 408 before the server closes
            self.abort()
            return
        self._arrived = True
        problem: Exception | None = None
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            problem = error
        parts = self._parts
        if parts:
            (answer.sink or answer).put(parts[0] if len(parts) == 1 else b"".join(parts))
            parts.clear()
            self._barren = 0
        else:
            self._barren += len(data)
        if self._complete:
            # an error after the end concerns the connection, not the answer
            self._finished(reusable=problem is None)
        elif problem is not None:
            self._failed(_invalid(problem))
        elif self._barren > MAX_HEAD:
            self._failed(_too_large())

    def eof_received(self) -> None:
        self._ended_by_server(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended_by_server(exc)
        self._transport = None

    def pause_writing(self) -> None:
        self._held_back = True
        self._start_write_timer()

    def resume_writing(self) -> None:
        self._held_back = False
        self._no_write_timer()
        self._write_on()

    def _write_on(self) -> None:
        transport = self._transport
        while self._rest and not self._held_back and transport is not None and not transport.is_closing():
            piece, self._rest = self._rest[:PIECE], self._rest[PIECE:]
            transport.write(piece)

    def _start_write_timer(self) -> None:
        if self._write_timeout is not None and self._answer is not None and self._transport is not None:
            self._unsent = self._transport.get_write_buffer_size()
            self._write_timer = self._loop.call_later(self._write_timeout, self._write_timed_out)

    # --- the parser's side ----------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            raise ValueError("data behind the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEAD or len(self._headers) >= MAX_HEADERS:
            raise _too_large()
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None and self._answer is not None
        status = self._parser.get_status_code()
        headers, self._headers = self._headers, []
        if status < 200:
            # 100, 102, 103: the final answer is still to come
            return
        sized, chunked, other = _framing(headers)
        self._until_close = status not in (204, 304) and (other or not (sized or chunked))
        # two framings at once: chunks win, and nothing after them is trusted
        self._keep_alive = self._parser.should_keep_alive() and not (sized and chunked)
        self._answer.begin(status, headers)

    def on_message_complete(self) -> None:
        assert self._answer is not None
        self._complete = self._answer.status != 0

    # --- ends -----------------------------------------------------------------------------

    def _finished(self, *, reusable: bool) -> None:
        answer, transport = self._answer, self._transport
        assert answer is not None
        self._answer = self._parser = None
        self._no_write_timer()
        self._used = True
        answer.end()
        # the answer came before the whole request was sent, so the rest of the request is still in the way
        if (
            reusable
            and self._keep_alive
            and transport is not None
            and not transport.is_closing()
            and not self._rest
            and transport.get_write_buffer_size() == 0
        ):
            self.resume()
            self._owner.idle(self)
        else:
            self.abort()

    def _failed(self, problem: httpx.TransportError) -> None:
        answer = self._answer
        self._answer = self._parser = None
        if answer is not None:
            answer.fail(problem)
        self.abort()

    def _ended_by_server(self, problem: Exception | None) -> None:
        if self._answer is None:
            self.abort()
        elif problem is None and self._until_close:
            self._finished(reusable=False)
        else:
            self._failed(self._lost(problem))

    def _lost(self, problem: Exception | None) -> httpx.TransportError:
        error: httpx.TransportError
        if self._used and not self._arrived and self._loop.time() - self._sent_at < STALE_WINDOW:
            error = StaleConnection("the kept connection was closed")
        elif problem is not None:
            error = httpx.ReadError(str(problem))
        elif not self._arrived:
            error = httpx.RemoteProtocolError("the server disconnected without an answer")
        else:
            error = httpx.RemoteProtocolError("the server closed the connection within the answer")
        error.__cause__ = problem
        return error

    def _write_timed_out(self) -> None:
        if self._transport is not None and self._transport.get_write_buffer_size() < self._unsent:
            # a large request may take a slow line many times as long
            self._start_write_timer()
            return
        self._failed(httpx.WriteTimeout("the server does not read the request"))

    def _no_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def _framing(headers: list[tuple[bytes, bytes]]) -> tuple[bool, bool, bool]:
    """(has a Content-Length, is chunked, has a transfer coding that does not end in chunks)."""
    sized = chunked = other = False
    for name, value in headers:
        lower = name.lower()
        if lower == b"content-length":
            sized = True
        elif lower == b"transfer-encoding":
            chunked = value.rstrip().lower().endswith(b"chunked")
            other = not chunked
    return sized, chunked, other


def _too_large() -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError("the head of the answer is too large")


def _invalid(problem: Exception) -> httpx.TransportError:
    if isinstance(problem.__context__, httpx.TransportError):
        return problem.__context__
    if isinstance(problem, httptools.HttpParserUpgrade):
        return httpx.RemoteProtocolError("the server switched to another protocol")
    error = httpx.RemoteProtocolError(f"the answer is not valid HTTP: {problem}")
    error.__cause__ = problem
    return error
