"""The lean transport on real sockets."""

import asyncio
import contextlib
import ssl
import threading

import httpx
import pytest

from gateway.upstream.http1 import transport as lean
from gateway.upstream.http1.transport import LeanTransport
from tests.upstream.sockets import (
    CHUNKED,
    OK,
    ScriptedServer,
    answering,
    certificates,
    opened_since,
    settled,
    sockets,
)

CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
async def transport():
    made = LeanTransport()
    yield made
    await made.aclose()


async def post(transport, url, content=b"{}", timeout=5.0):
    return await transport.post(url, {"x-a": "1"}, content, connect_timeout=timeout, write_timeout=5.0)


async def text(answer) -> bytes:
    return b"".join([piece async for piece in answer])


async def test_head_and_body_arrive_as_they_were_given(transport):
    seen = []

    async def script(line):
        seen.append(await line.request())
        await line.send(OK)

    async with ScriptedServer(script) as server:
        answer = await post(transport, server.url + "?v=1", b"content")
        assert (answer.status, await text(answer)) == (200, b"ok")
    head, body = seen[0]
    assert head.startswith(b"POST /v1/chat/completions?v=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % server.port)
    assert b"\r\nx-a: 1\r\n" in head
    assert body == b"content"


async def test_a_large_request_arrives_whole(transport):
    large = bytes(range(256)) * 20_000
    seen = []

    async def script(line):
        seen.append(await line.request())
        await line.send(OK)

    async with ScriptedServer(script) as server:
        await text(await post(transport, server.url, large))
    assert seen[0][1] == large


@pytest.fixture(params=["plain", "tls"])
def secured(request, tmp_path):
    """The contexts of client and server; None without TLS."""
    if request.param == "plain":
        return None, None
    ca, server = certificates(tmp_path)
    return ssl.create_default_context(cafile=ca), server


async def test_a_server_that_does_not_read_a_large_request_is_given_up(secured):
    client, server = secured
    over = asyncio.Event()

    async def script(line):
        await over.wait()

    transport = LeanTransport(client)
    async with ScriptedServer(script, context=server) as provider, asyncio.timeout(60):
        with pytest.raises(httpx.WriteTimeout):
            await transport.post(provider.url, {}, bytes(30_000_000), connect_timeout=30.0, write_timeout=0.2)
        over.set()
    await transport.aclose()


async def test_a_server_that_reads_a_large_request_late_gets_it_whole(secured):
    """In pieces under TLS, where the layer would take all of it at once."""
    client, server = secured
    large = bytes(range(256)) * 50_000
    seen = []

    async def script(line):
        while True:
            for _ in range(100):
                await asyncio.sleep(0)
            seen.append(await line.request())
            await line.send(OK)

    transport = LeanTransport(client)
    async with ScriptedServer(script, context=server) as provider:
        for _ in range(2):
            assert await text(await post(transport, provider.url, large)) == b"ok"
        assert provider.connections == 1
    assert [body == large for _head, body in seen] == [True, True]
    await transport.aclose()


async def test_an_answer_before_the_end_of_a_large_request_costs_the_connection(secured):
    client, server = secured
    refused = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
    over = asyncio.Event()

    async def refusing(line):
        await line.reader.readuntil(b"\r\n\r\n")
        await line.send(refused)
        await over.wait()

    transport = LeanTransport(client)
    async with ScriptedServer(refusing, answering(OK), context=server) as provider:
        answer = await post(transport, provider.url, bytes(30_000_000))
        assert (answer.status, await text(answer)) == (413, b"no")
        assert await text(await post(transport, provider.url)) == b"ok"
        assert provider.connections == 2
        over.set()
    await transport.aclose()


async def test_the_way_through_httpx_gives_the_same(transport):
    async with ScriptedServer(answering(CHUNKED + b"2\r\nok\r\n0\r\n\r\n")) as server:
        async with httpx.AsyncClient(transport=transport) as http:
            for _ in range(2):
                response = await http.post(server.url, content=b"{}")
                assert (response.status_code, response.content) == (200, b"ok")
        assert server.connections == 1


async def test_a_body_of_unknown_length_is_sent_with_its_length(transport):
    async def content():
        yield b"in "
        yield b"pieces"

    seen = []

    async def script(line):
        seen.append(await line.request())
        await line.send(OK)

    async with ScriptedServer(script) as server, httpx.AsyncClient(transport=transport) as http:
        await http.post(server.url, content=content())
    assert seen[0][1] == b"in pieces"


# --- keeping connections ---------------------------------------------------------------


async def test_a_connection_is_used_again_after_the_end_of_its_answer(transport):
    async with ScriptedServer(answering(OK, CHUNKED + b"1\r\na\r\n0\r\n\r\n", OK)) as server:
        for _ in range(3):
            await text(await post(transport, server.url))
        assert server.connections == 1


async def test_the_connection_returned_last_is_taken_first(transport):
    gates = [asyncio.Event() for _ in range(2)]
    served = []

    def numbered(number):
        async def script(line):
            await line.request()
            await gates[number].wait()
            await line.send(OK)
            while True:
                await line.request()
                served.append(number)
                await line.send(OK)

        return script

    async with ScriptedServer(numbered(0), numbered(1)) as server:
        first = asyncio.ensure_future(post(transport, server.url))
        await settled(lambda: server.connections == 1)
        second = asyncio.ensure_future(post(transport, server.url))
        await settled(lambda: server.connections == 2)
        for number, task in enumerate((first, second)):
            gates[number].set()
            await text(await task)
        for _ in range(3):
            await text(await post(transport, server.url))
    assert served == [1, 1, 1]


async def test_a_connection_the_server_closed_is_not_used(transport):
    async def once(line):
        await line.request()
        await line.send(OK)

    async with ScriptedServer(once) as server:
        for number in (1, 2):
            await text(await post(transport, server.url))
            await settled(lambda: len(transport._pool) == 0)
            assert server.connections == number


@pytest.mark.parametrize("way", ["close", "reset"])
async def test_a_request_on_a_connection_just_closed_is_sent_once_more_on_a_new_one(transport, way):
    heard = []

    async def closes_on_the_second(line):
        await line.request()
        await line.send(OK)
        heard.append((await line.request())[1])
        getattr(line, way)()

    async def answers(line):
        heard.append((await line.request())[1])
        await line.send(OK)

    async with ScriptedServer(closes_on_the_second, answers) as server:
        await text(await post(transport, server.url, b"1"))
        assert await text(await post(transport, server.url, b"2")) == b"ok"
        assert server.connections == 2
    assert heard == [b"2", b"2"]


async def test_a_new_connection_that_closes_is_not_tried_again(transport):
    async def closes(line):
        await line.request()

    async with ScriptedServer(closes) as server:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await post(transport, server.url)
        assert server.connections == 1


async def test_a_kept_connection_that_breaks_within_the_head_is_not_tried_again(transport):
    async def breaks(line):
        await line.request()
        await line.send(OK)
        await line.request()
        await line.send(b"HTTP/1.1 200")

    async with ScriptedServer(breaks) as server:
        await text(await post(transport, server.url))
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await post(transport, server.url)
        assert server.connections == 1


async def test_an_answer_with_connection_close_leaves_no_connection(transport):
    async with ScriptedServer(answering(CLOSING)) as server:
        for _ in range(2):
            assert await text(await post(transport, server.url)) == b"ok"
            assert len(transport._pool) == 0
        assert server.connections == 2


async def test_a_body_that_ends_with_the_connection_is_whole(transport):
    async def script(line):
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

    async with ScriptedServer(script) as server:
        assert await text(await post(transport, server.url)) == b"until the end"


# --- breaking off ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", CHUNKED + b"4\r\npart\r\n"],
    ids=["sized", "chunked"],
)
async def test_a_cut_body_gives_what_came_and_then_fails(transport, start):
    async def script(line):
        await line.request()
        await line.send(start)

    async with ScriptedServer(script) as server:
        answer = await post(transport, server.url)
        assert await anext(answer) == b"part"
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await anext(answer)


async def test_an_answer_nobody_reads_holds_no_more_than_the_mark_and_a_read(transport):
    size = 32 * 1024 * 1024
    stalled = asyncio.Event()

    async def script(line):
        await line.request()
        line.writer.transport.set_write_buffer_limits(high=65536)
        line.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            line.writer.write(bytes(65536))
            try:
                async with asyncio.timeout(0.2):
                    await line.writer.drain()
            except TimeoutError:
                stalled.set()
                await line.writer.drain()
        await line.gone()

    async with ScriptedServer(script) as server:
        answer = await post(transport, server.url)
        await stalled.wait()
        assert answer._size <= 64 * 1024 + 2 * 256 * 1024
        assert len(await text(answer)) == size


async def test_cancelling_and_giving_up_in_every_phase_leaves_no_socket(transport):
    silent, part = asyncio.Event(), CHUNKED + b"4\r\npart\r\n"

    async def quiet(line):
        await line.request()
        silent.set()
        await line.gone()

    async def begins(line):
        await line.request()
        await line.send(part)
        await line.gone()

    async with ScriptedServer(quiet) as before, ScriptedServer(begins) as within:
        held = sockets()
        for _ in range(20):
            silent.clear()
            waiting = asyncio.ensure_future(post(transport, before.url))
            await silent.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            answer = await post(transport, within.url)
            assert await anext(answer) == b"part"
            reading = asyncio.ensure_future(text(answer))
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            await answer.aclose()
        assert len(transport._pool) == 0
        await settled(lambda: not before._tasks and not within._tasks and opened_since(held) == 0)


async def test_cancelling_while_connecting_leaves_no_socket(transport, monkeypatch):
    async with ScriptedServer(answering(OK)) as server:
        held = sockets()
        for turns in range(12):
            task = asyncio.ensure_future(post(transport, server.url))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                (await task).close()
            await transport.aclose()
        await settled(lambda: not server._tasks and opened_since(held) == 0)


async def test_closing_the_transport_fails_what_is_under_way(transport):
    asked = asyncio.Event()

    async def quiet(line):
        await line.request()
        asked.set()
        await line.gone()

    async with ScriptedServer(quiet) as server:
        waiting = asyncio.ensure_future(post(transport, server.url))
        await asked.wait()
        await transport.aclose()
        with pytest.raises(httpx.ReadError):
            await waiting


async def test_an_answer_that_is_forgotten_is_closed(transport):
    gone = asyncio.Event()

    async def begins(line):
        await line.request()
        await line.send(CHUNKED)
        await line.gone()
        gone.set()

    async with ScriptedServer(begins) as server:
        answer = await post(transport, server.url)
        answer.abandon()
        async with asyncio.timeout(5):
            await gone.wait()


# --- connecting ---------------------------------------------------------------------------


async def test_a_refused_connection_says_so(transport):
    async with ScriptedServer(answering(OK)) as server:
        url = server.url
    with pytest.raises(httpx.ConnectError) as caught:
        await post(transport, url)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


async def test_connecting_ends_at_its_timeout(transport, monkeypatch):
    async def never(host, port, *, link_local):
        await asyncio.Event().wait()

    monkeypatch.setattr(lean, "connected_socket", never)
    with pytest.raises(httpx.ConnectTimeout):
        await post(transport, "http://127.0.0.1:1/", timeout=0.01)


async def test_httpx_timeouts_are_honoured(transport, monkeypatch):
    async def never(host, port, *, link_local):
        await asyncio.Event().wait()

    monkeypatch.setattr(lean, "connected_socket", never)
    async with httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(None, connect=0.01)) as http:
        with pytest.raises(httpx.ConnectTimeout):
            await http.post("http://127.0.0.1:1/")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "127.0.0.1/v1", "http:///v1"])
async def test_a_url_that_is_no_web_address_is_refused(transport, url):
    with pytest.raises((httpx.UnsupportedProtocol, httpx.InvalidURL)):
        await post(transport, url)


# --- TLS ----------------------------------------------------------------------------------


async def test_a_trusted_certificate_is_accepted_and_the_connection_kept(tmp_path, monkeypatch):
    ca, context = certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    transport = LeanTransport()
    async with ScriptedServer(answering(CHUNKED + b"2\r\nok\r\n0\r\n\r\n"), context=context) as server:
        for _ in range(2):
            assert await text(await post(transport, server.url)) == b"ok"
        assert server.connections == 1
        await transport.aclose()


async def test_certificates_are_loaded_once_and_not_on_the_loop(tmp_path, monkeypatch):
    ca, context = certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    made = []
    load = lean._ssl_context
    monkeypatch.setattr(lean, "_ssl_context", lambda: (made.append(threading.current_thread()), load())[1])
    transport = LeanTransport()
    async with ScriptedServer(answering(OK), context=context) as server:
        for answer in await asyncio.gather(*(post(transport, server.url) for _ in range(3))):
            await text(answer)
        await transport.aclose()
    assert len(made) == 1
    assert made[0] is not threading.current_thread()


@pytest.mark.parametrize("flaw", ["unknown CA", "other host", "expired"])
async def test_a_certificate_that_is_not_valid_is_refused_and_leaves_no_socket(tmp_path, monkeypatch, flaw):
    ca, context = certificates(
        tmp_path,
        host="127.0.0.2" if flaw == "other host" else "127.0.0.1",
        days=-1 if flaw == "expired" else 1,
    )
    if flaw != "unknown CA":
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    transport = LeanTransport()
    async with ScriptedServer(answering(OK), context=context) as server:
        held = sockets()
        with pytest.raises(httpx.ConnectError) as caught:
            await post(transport, server.url)
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        await settled(lambda: opened_since(held) == 0)


async def test_cancelling_and_timing_out_within_the_handshake_leave_no_socket(tmp_path):
    _, context = certificates(tmp_path)
    transport = LeanTransport(ssl.create_default_context())
    mute = asyncio.Event()

    async def silent(line):
        mute.set()
        await line.gone()

    async with ScriptedServer(silent) as server:
        held, url = sockets(), server.url.replace("http:", "https:")
        for _ in range(3):
            mute.clear()
            task = asyncio.ensure_future(post(transport, url))
            await mute.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(httpx.ConnectTimeout):
                await post(transport, url, timeout=0.05)
        await settled(lambda: not server._tasks and opened_since(held) == 0)
    assert context


async def test_flow_control_and_giving_up_work_through_tls(tmp_path, monkeypatch):
    ca, context = certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    transport = LeanTransport()
    size = 8 * 1024 * 1024

    async def script(line):
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await line.request()
        await line.send(CHUNKED + b"4\r\npart\r\n")
        await line.gone()

    async with ScriptedServer(script, context=context) as server:
        answer = await post(transport, server.url)
        await settled(lambda: answer._paused)
        assert len(await text(answer)) == size
        again = await post(transport, server.url)
        assert await anext(again) == b"part"
        held = sockets()
        await again.aclose()
        await settled(lambda: len(held - sockets()) >= 2)
        assert server.connections == 1
