"""The API's connections against Daphne's: the same requests, the same answers, all else handed on."""

import asyncio
import logging
import time
import tracemalloc
from types import SimpleNamespace

import pytest
from daphne.http_protocol import HTTPFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccproxy_site.server import api_connection
from ccproxy_site.server.api_connection import ApiConnection
from ccproxy_site.server.api_request import WRITE_THROUGH
from ccproxy_site.server.connections import registry, slot
from ccproxy_site.server.connections.registry import Connections
from ccproxy_site.server.daphne_server import GatewayServer
from ccproxy_site.server.disconnect import LEAVING
from ccproxy_site.server.endpoint import GatewayFactory, connections_of
from ccproxy_site.server.transport import MOST_AHEAD, Connection
from tests.examples import examples

HEADERS = [
    b"Host: gateway:1",
    b"X-Api-Key: secret",
    b"content-type: application/json",
    b"X-Two: one",
    b"x-two: another",
    b"x_api_key: not this one",
    b"accept: caf\xe9",
    b"empty:",
]


def raw(body=b'{"model": "m"}', *, path=b"/v1/messages?beta=true", more=(), sized=True):
    lines = [b"POST %b HTTP/1.1" % path, *HEADERS, *more]
    lines += [b"content-length: %d" % len(body)] if sized else []
    return b"\r\n".join([*lines, b"", b""]) + body


class Application:
    """Remembers scopes and bodies, and answers as `how` does."""

    def __init__(self, how=None):
        self.seen = []
        self.how = how or whole

    async def __call__(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"] and len(message["body"]) < 2**20
        self.seen.append((scope, body))
        await self.how(scope, receive, send)


async def whole(scope, receive, send):
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


async def streamed(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
    for piece in (b"one", b"", b"two"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"end"})


def server_of(application):
    server = GatewayServer(application, ["tcp:port=0"], server_name="ccproxy")
    server.connections = {}
    return server


class Listening:
    """A server on a port of its own; `kind` makes its connections."""

    def __init__(self, application, kind=ApiConnection):
        self.server = server_of(application)
        self._factory = GatewayFactory(HTTPFactory(self.server))
        self._kind = kind

    async def __aenter__(self):
        made = lambda: self._kind(self._factory)  # noqa: E731
        self._listening = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._listening.close()

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def answers(self, data, until):
        """What comes for `data` until that text is there."""
        reader, writer = await self.connect()
        writer.write(data)
        seen = b""
        while until not in seen:
            piece = await asyncio.wait_for(reader.read(65536), 5)
            assert piece, seen
            seen += piece
        writer.close()
        return seen


def told(scope):
    """A scope without what differs from connection to connection."""
    kept = {name: value for name, value in scope.items() if name not in ("client", "server", "extensions")}
    return kept | {"client": scope["client"][0], "server": scope["server"][0]}


def parts(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    return (
        status,
        sorted((name.lower(), value) for name, _, value in (line.partition(b": ") for line in headers)),
        body,
    )


@pytest.mark.parametrize(
    "path", [b"/v1/messages", b"/v1/messages?a=b&c", b"/v1/models%2Fx/caf%C3%A9?", b"/v1/x?a?b#c"]
)
async def test_the_application_sees_what_daphne_would_have_shown_it(path):
    seen = []
    for kind in (Connection, ApiConnection):
        application = Application()
        async with Listening(application, kind) as listening:
            await listening.answers(raw(path=path), b"{}")
        [(scope, body)] = application.seen
        seen.append(told(scope))
        # Daphne's requests keep no body that nobody reads
        assert body == b'{"model": "m"}' or (kind is Connection and b"messages" not in path)
    assert seen[0] == seen[1]


@pytest.mark.parametrize(("how", "last"), [(whole, b"{}"), (streamed, b"0\r\n\r\n")])
@pytest.mark.parametrize("more", [[], [b"Connection: close"], [b"connection: keep-alive"]])
async def test_the_client_gets_what_daphne_would_have_written(how, last, more):
    usual, ours = [
        await read(Application(how), kind, raw(more=more), last) for kind in (Connection, ApiConnection)
    ]
    assert parts(usual) == parts(ours)


async def read(application, kind, data, last):
    async with Listening(application, kind) as listening:
        return await listening.answers(data, last)


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.binary(max_size=300), st.booleans())
def test_a_request_is_the_same_however_it_arrives(data, body, pipelined):
    sent = raw(body) + (raw(b"second") if pipelined else b"")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]

    async def bodies():
        application = Application()
        connection = connection_to(application)
        for piece in pieces:
            if piece:
                connection.data_received(piece)
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return [seen for _, seen in application.seen], connection.transport.written

    got, written = asyncio.run(bodies())
    assert got == [body, b"second"][: 1 + pipelined]
    assert written.count(b"HTTP/1.1 200 OK\r\n") == 1 + pipelined


class Transport:
    """Collects what is written."""

    def __init__(self):
        self.written = b""
        self.closed = self.aborted = self.reading_paused = False
        self.protocol = None

    def write(self, data):
        self.written += data

    def writelines(self, pieces):
        self.write(b"".join(pieces))

    def get_extra_info(self, name):
        return None if name == "socket" else ("127.0.0.1", 1)

    def get_write_buffer_size(self):
        return 0

    def set_write_buffer_limits(self, high):
        pass

    def set_protocol(self, protocol):
        self.protocol = protocol

    def is_closing(self):
        return self.closed or self.aborted

    def pause_reading(self):
        self.reading_paused = True

    def resume_reading(self):
        self.reading_paused = False

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True


def connection_to(application, **options):
    factory = SimpleNamespace(server=server_of(application), connections=Connections(), **options)
    connection = ApiConnection(factory)
    connection.connection_made(Transport())
    return connection


OTHERS = {
    "another method": b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    "another path": b"POST /admin/ HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
    "an old version": b"POST /v1/messages HTTP/1.0\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
    "no length": raw(b"", sized=False),
    "chunks": raw(b"", more=[b"transfer-encoding: chunked"], sized=False),
    "chunks and a length": raw(more=[b"transfer-encoding: chunked"]),
    "two lengths": raw(more=[b"content-length: 3"]),
    "no number": raw(more=[b"content-length: +14"], sized=False),
    "an upgrade": raw(more=[b"connection: upgrade", b"upgrade: websocket"]),
    "an expectation": raw(more=[b"expect: 100-continue"]),
    "a root path": raw(more=[b"daphne-root-path: /x"]),
    "a header without a colon": raw(more=[b"nonsense"]),
    "a folded header": raw(more=[b"x-folded: a", b" b"]),
    "a control character": raw(more=[b"x-control: a\x0bb"]),
    "a name that is none": raw(more=[b"x(y): z"]),
    "a path that is not ASCII": raw(path=b"/v1/\xc3\xa9"),
    "a head without an end": b"POST /v1/messages HTTP/1.1\r\nx: " + b"y" * 70_000,
    "no HTTP": b"\x16\x03\x01\x02",
}


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS.keys())
@pytest.mark.parametrize("cut", [0, 5, 60])
async def test_what_is_not_ours_is_handed_on_with_all_its_bytes(data, cut, monkeypatch):
    got = []
    usual = SimpleNamespace(connection_made=lambda transport: None, data_received=got.append)
    monkeypatch.setattr(api_connection, "Connection", lambda factory, slot: usual)
    connection = connection_to(Application())
    for piece in (data[:cut], data[cut:]):
        current = connection.transport.protocol or connection
        if piece:
            current.data_received(piece)
    assert b"".join(got) == data
    assert connection.transport.protocol is usual


async def test_one_connection_serves_clients_and_pages():
    async with Listening(Application()) as listening:
        reader, writer = await listening.connect()
        writer.write(raw())
        await reader.readuntil(b"{}")
        writer.write(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"{}"), 5)).startswith(b"HTTP/1.1 200 OK")
        writer.close()


async def test_the_connection_ends_with_the_answer_when_the_client_wants_it():
    async with Listening(Application()) as listening:
        reader, writer = await listening.connect()
        writer.write(raw(more=[b"connection: close"]) + raw())
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.count(b"HTTP/1.1 200") == 1
        writer.close()


async def test_a_client_that_sends_far_ahead_is_not_read():
    go_on = asyncio.Event()

    async def later(scope, receive, send):
        await go_on.wait()
        await whole(scope, receive, send)

    application = Application(later)
    connection = connection_to(application)
    connection.data_received(raw())
    for _ in range(3):
        connection.data_received(raw(b"x" * 10_000))
    assert connection.transport.reading_paused
    go_on.set()
    for _ in range(30):
        await asyncio.sleep(0)
    assert not connection.transport.reading_paused
    assert [len(body) for _, body in application.seen] == [14, 10_000, 10_000, 10_000]
    connection.connection_lost(None)


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (b"POST /health HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n", b"413"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
async def test_a_pipelined_request_that_is_refused_does_not_take_the_answer_before_it(second, status):
    first = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    async with Listening(Application(), Connection) as listening:
        answers = await listening.answers(first + second, b'"error"')
    assert answers.startswith(b"HTTP/1.1 200 ") and b"\r\n\r\n{}HTTP/1.1 " + status in answers


@pytest.mark.parametrize("kind", [ApiConnection, Connection])
async def test_a_client_that_stops_reading_a_stream_loses_its_connection(kind, monkeypatch):
    """And with it everything that the stream holds: the application is told, and ends."""
    monkeypatch.setattr(slot, "READ_SECONDS", 0.01)
    monkeypatch.setattr(registry, "LOOK_EVERY", 0.01)
    ended = asyncio.Event()

    async def endless(scope, receive, send):
        gone = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        ended.set()

    async with Listening(Application(endless), kind) as listening:
        _, writer = await listening.connect()
        writer.transport.pause_reading()
        writer.write(raw())
        await asyncio.wait_for(ended.wait(), 30)
        writer.close()


async def test_of_many_small_requests_no_more_is_read_than_is_answered():
    go_on = asyncio.Semaphore(0)

    async def in_turn(scope, receive, send):
        await go_on.acquire()
        await whole(scope, receive, send)

    application = Application(in_turn)
    connection = connection_to(application)
    small = raw(b"{}")
    connection.data_received(small * 300)
    connection.data_received(small)
    for answered in range(100):
        for _ in range(30):
            await asyncio.sleep(0)
        assert len(application.seen) == answered + 1
        assert connection.transport.reading_paused
        go_on.release()
    for _ in range(300):
        go_on.release()
    for _ in range(3_000):
        await asyncio.sleep(0)
    assert not connection.transport.reading_paused
    assert len(application.seen) == 301
    connection.connection_lost(None)


async def test_bytes_that_come_one_by_one_behind_a_request_are_not_counted_anew_each_time():
    async def never(scope, receive, send):
        await asyncio.Event().wait()

    connection = connection_to(Application(never))
    connection.data_received(raw())
    began = time.process_time()
    for _ in range(MOST_AHEAD):
        connection.data_received(b"x")
    assert time.process_time() - began < 0.5
    connection.connection_lost(None)


async def test_small_pieces_of_a_body_take_no_more_memory_than_large_ones():
    connection = connection_to(Application())
    body = bytes(200_000)
    sent = raw(body)
    tracemalloc.start()
    try:
        connection.data_received(sent[: -len(body)])
        for at in range(0, len(body) - 2, 2):
            connection.data_received(body[at : at + 2])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 3 * len(body)
    connection.connection_lost(None)


async def test_a_client_that_leaves_has_its_application_cancelled_when_that_asks_for_it():
    ends = []

    async def waits(scope, receive, send):
        scope["extensions"][LEAVING]()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    connection = connection_to(Application(waits))
    connection.data_received(raw())
    await asyncio.sleep(0)
    connection.connection_lost(None)
    for _ in range(3):
        await asyncio.sleep(0)
    assert ends == ["cancelled"]
    assert not connection._server.connections


async def test_a_client_that_leaves_is_told_of_to_an_application_that_asks():
    messages = []

    async def asks(scope, receive, send):
        messages.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})

    connection = connection_to(Application(asks))
    connection.data_received(raw())
    await asyncio.sleep(0)
    connection.connection_lost(None)
    for _ in range(3):
        await asyncio.sleep(0)
    assert messages == [{"type": "http.disconnect"}]
    assert connection.transport.written == b""


async def test_an_application_that_dies_is_a_500_before_its_answer_and_a_cut_within(caplog):
    async def dies(scope, receive, send):
        raise ZeroDivisionError

    async def breaks(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise ZeroDivisionError

    seen = []
    with caplog.at_level(logging.CRITICAL):
        for how in (dies, breaks):
            connection = connection_to(Application(how))
            connection.data_received(raw())
            for _ in range(5):
                await asyncio.sleep(0)
            seen.append(connection.transport)
    assert b"HTTP/1.1 500" in seen[0].written and b"api_error" in seen[0].written and seen[0].closed
    assert b"1\r\nx\r\n" in seen[1].written and seen[1].aborted


async def test_a_piece_past_the_messages_looks_like_one_of_them():
    async def both(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"same", "more_body": True})
        scope["extensions"][WRITE_THROUGH].write(b"same")
        await send({"type": "http.response.body"})

    connection = connection_to(Application(both))
    connection.data_received(raw())
    for _ in range(5):
        await asyncio.sleep(0)
    assert connection.transport.written.endswith(b"\r\n\r\n4\r\nsame\r\n4\r\nsame\r\n0\r\n\r\n")


async def test_no_header_of_an_answer_begins_a_line_of_its_own():
    async def injects(scope, receive, send):
        headers = [(b"x", b"a\r\nset-cookie: b"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    connection = connection_to(Application(injects))
    connection.data_received(raw())
    for _ in range(5):
        await asyncio.sleep(0)
    assert b"x: a set-cookie: b\r\n" in connection.transport.written


def test_addresses_from_a_proxys_headers_are_daphnes_to_read():
    usual = SimpleNamespace(server=SimpleNamespace(proxy_forwarded_address_header="X-Forwarded-For"))
    ours = SimpleNamespace(server=SimpleNamespace(proxy_forwarded_address_header=None))
    assert connections_of(usual).func is Connection
    assert connections_of(ours).func is ApiConnection
