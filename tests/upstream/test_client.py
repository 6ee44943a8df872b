"""UpstreamClient over each transport: what comes back, and how failures are called."""

import asyncio
import contextlib
import gzip

import httpx
import pytest

from gateway.errors import UpstreamBroken, UpstreamTimedOut, UpstreamUnreachable
from gateway.upstream.client import UpstreamClient
from gateway.upstream.demo import demo_answer
from gateway.upstream.http1 import transport as lean
from gateway.upstream.request_builder import UpstreamCall
from tests.upstream.sockets import CHUNKED, OK, ScriptedServer, answering, certificates

pytestmark = pytest.mark.parametrize("lean_transport", [True, False], ids=["lean", "httpx"])
BROKEN = "upstream closed the stream before the response was complete"


@pytest.fixture
async def client(lean_transport):
    made = UpstreamClient(demo=demo_answer, lean=lean_transport)
    yield made
    await made.close()


def call(url, **fields):
    fields = {
        "content": b'{"a":1}',
        "headers": {"authorization": "Bearer k", "user-agent": "ccproxy"},
        **fields,
    }
    return UpstreamCall(url=url, **fields)


async def test_status_headers_and_body_come_back(client):
    raw = b"HTTP/1.1 429 Slow\r\nContent-Type: Text/Event-Stream; charset=x\r\n"
    raw += b"X-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\n\r\nok"
    seen = []

    async def script(line):
        seen.append(await line.request())
        await line.send(raw)

    async with ScriptedServer(script) as server:
        answer = await client.open(call(server.url))
        assert answer.status == 429
        assert answer.content_type == "text/event-stream"
        assert answer.headers["x-a"] == "1, 2"
        assert await answer.body(100) == b"ok"
        await answer.close()
    head, body = seen[0]
    assert body == b'{"a":1}'
    assert b"authorization: bearer k" in head.lower()


async def test_a_connection_is_used_again(client):
    async with ScriptedServer(answering(CHUNKED + b"2\r\nok\r\n0\r\n\r\n")) as server:
        for _ in range(3):
            answer = await client.open(call(server.url))
            assert await answer.body(100) == b"ok"
            await answer.close()
        assert server.connections == 1


async def test_pieces_come_as_they_arrive(client):
    taken = asyncio.Event()

    async def script(line):
        await line.request()
        await line.send(CHUNKED + b"1\r\na\r\n")
        await taken.wait()
        await line.send(b"1\r\nb\r\n0\r\n\r\n")

    async with ScriptedServer(script) as server:
        answer = await client.open(call(server.url))
        pieces = answer.pieces()
        assert await anext(pieces) == b"a"
        taken.set()
        assert await anext(pieces) == b"b"
        assert await anext(pieces, b"end") == b"end"
        await answer.close()


async def test_a_body_that_is_compressed_all_the_same_is_decoded(client):
    packed = gzip.compress(b"text")
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(packed), packed)
    bad = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nno"
    async with ScriptedServer(answering(raw, bad)) as server:
        answer = await client.open(call(server.url))
        assert await answer.body(100) == b"text"
        await answer.close()
        answer = await client.open(call(server.url))
        with pytest.raises(UpstreamBroken):
            await answer.body(100)
        await answer.close()


def encoded(coding, body):
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        coding,
        len(body),
        body,
    )


async def body_of(client, raw, limit=100):
    async with ScriptedServer(answering(raw)) as server:
        answer = await client.open(call(server.url))
        try:
            return await answer.body(limit)
        finally:
            await answer.close()


@pytest.mark.parametrize("way", ["open", "get"])
@pytest.mark.parametrize(
    "coding", [b"zstd", b"br", b"deflate", b"gzip, gzip", b"identity, br", b"x\xff", b"y" * 90]
)
async def test_any_other_coding_is_refused_in_words_when_the_body_is_read(client, coding, way):
    async with ScriptedServer(answering(encoded(coding, b"whatever"))) as server:
        answer = await getattr(client, way)(call(server.url))
        assert answer.status == 200
        with pytest.raises(UpstreamBroken, match="sent a compressed answer") as caught:
            await answer.body(100)
        assert caught.value.status == 502 and len(caught.value.message) < 200
        await answer.close()


@pytest.mark.parametrize("coding", [b"gzip", b"GZip", b"x-gzip", b"identity, gzip", b"identity", b""])
async def test_gzip_by_any_of_its_names_is_read(client, coding):
    body = gzip.compress(b"text") if b"gz" in coding.lower() else b"text"
    assert await body_of(client, encoded(coding, body)) == b"text"


async def test_members_of_gzip_follow_one_another_and_none_may_be_cut(client):
    several = gzip.compress(b"a") + gzip.compress(b"") + gzip.compress(b"b")
    assert await body_of(client, encoded(b"gzip", several)) == b"ab"
    assert await body_of(client, encoded(b"gzip", b"")) == b""
    for cut in (several[:-1], several[:-9], several[:5], several + b"more"):
        with pytest.raises(UpstreamBroken):
            await body_of(client, encoded(b"gzip", cut))


async def test_what_gzip_becomes_counts_against_the_limit_piece_by_piece(client):
    bomb = gzip.compress(bytes(50_000_000))
    async with ScriptedServer(answering(encoded(b"gzip", bomb))) as server:
        answer = await client.open(call(server.url))
        sizes = []
        with pytest.raises(UpstreamBroken, match="larger than 1000000 bytes"):
            await answer.body(1_000_000, lambda: sizes.append(1))
        assert 10 < len(sizes) < 20
        await answer.close()


async def test_a_read_of_gzip_that_is_cancelled_can_be_tried_again(client, lean_transport):
    if not lean_transport:
        pytest.skip("the library's own iterator ends when a read is cancelled")
    more = asyncio.Event()

    async def script(line):
        await line.request()
        packed = gzip.compress(b"text")
        await line.send(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        )
        await line.send(packed[:15])
        await more.wait()
        await line.send(packed[15:])

    async with ScriptedServer(script) as server:
        answer = await client.open(call(server.url))
        pieces, got = answer.pieces(), b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                got += await anext(pieces)
        more.set()
        while piece := await anext(pieces, b""):
            got += piece
        assert got == b"text"
        await answer.close()


async def test_a_body_over_the_limit_is_given_up(client):
    gone = asyncio.Event()

    async def script(line):
        await line.request()
        await line.send(CHUNKED + b"5\r\nabcde\r\n")
        await line.gone()
        gone.set()

    async with ScriptedServer(script) as server:
        answer = await client.open(call(server.url))
        with pytest.raises(UpstreamBroken, match="larger than 4 bytes"):
            await answer.body(4)
        await answer.close()
        async with asyncio.timeout(5):
            await gone.wait()


@pytest.mark.parametrize("way", ["close", "reset"])
async def test_a_cut_body_is_a_broken_answer(client, way):
    async def script(line):
        await line.request()
        await line.send(CHUNKED + b"4\r\npart\r\n")
        getattr(line, way)()

    async with ScriptedServer(script) as server:
        answer = await client.open(call(server.url))
        with pytest.raises(UpstreamBroken, match=BROKEN):
            await answer.body(100)
        await answer.close()


@pytest.mark.parametrize("way", ["close", "reset"])
async def test_a_server_that_leaves_before_its_answer_reset_the_connection(client, way):
    async def script(line):
        await line.request()
        getattr(line, way)()

    async with ScriptedServer(script) as server:
        with pytest.raises(UpstreamUnreachable, match=r"\(connection reset\)"):
            await client.open(call(server.url))


async def test_what_is_not_http_reset_the_connection(client):
    async with ScriptedServer(answering(b"SSH-2.0-OpenSSH\r\n\r\n")) as server:
        with pytest.raises(UpstreamUnreachable, match=r"\(connection reset\)"):
            await client.open(call(server.url))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_refused_connection(client, host):
    async with ScriptedServer(answering(OK)) as server:
        url = server.url.replace("127.0.0.1", host)
    with pytest.raises(UpstreamUnreachable, match=r"\(connection refused\)") as caught:
        await client.open(call(url))
    assert caught.value.should_retry is None


async def test_an_unknown_name(client, no_names):
    with pytest.raises(UpstreamUnreachable, match=r"\(name resolution failed\)"):
        await client.open(call("http://ccproxy-test.invalid/v1"))


@pytest.mark.parametrize("url", ["ftp://h/v1", "h/v1", "http://h:x/v1"])
async def test_a_url_that_is_not_valid(client, url):
    with pytest.raises(UpstreamUnreachable, match="an admin must correct"):
        await client.open(call(url))


async def test_a_certificate_that_is_not_valid(client, tmp_path):
    _, context = certificates(tmp_path)
    async with ScriptedServer(answering(OK), context=context) as server:
        with pytest.raises(UpstreamUnreachable, match=r"\(TLS certificate invalid\)") as caught:
            await client.open(call(server.url))
    assert caught.value.should_retry is False


async def test_a_server_without_tls(client):
    async def script(line):
        await line.send(b"HTTP/1.1 400 Bad\r\n\r\n")
        await line.gone()

    async with ScriptedServer(script) as server:
        with pytest.raises(UpstreamUnreachable, match=r"\(TLS handshake failed\)"):
            await client.open(call(server.url.replace("http:", "https:")))


async def test_a_handshake_that_hangs_is_a_timeout(client):
    async def silent(line):
        await line.gone()

    async with ScriptedServer(silent) as server:
        with pytest.raises(UpstreamTimedOut, match="the upstream provider timed out"):
            await client.open(call(server.url.replace("http:", "https:"), connect_timeout=0.05))


async def test_a_header_that_would_be_two_is_not_sent(client):
    async with ScriptedServer(answering(OK)) as server:
        with pytest.raises(UpstreamUnreachable):
            await client.open(call(server.url, headers={"x": "a\r\nb: c"}))


async def test_credentials_in_the_url_are_sent_as_basic(client):
    seen = []

    async def script(line):
        seen.append(await line.request())
        await line.send(OK)

    async with ScriptedServer(script) as server:
        answer = await client.open(call(server.url.replace("127", "u:p@127")))
        await answer.body(10)
        await answer.close()
    assert b"authorization: basic dtpw" in seen[0][0].lower()
    assert seen[0][0].lower().count(b"authorization:") == 1


async def test_cancelling_before_the_head_closes_the_connection(client):
    asked, gone = asyncio.Event(), asyncio.Event()

    async def script(line):
        await line.request()
        asked.set()
        await line.gone()
        gone.set()

    async with ScriptedServer(script) as server:
        opening = asyncio.ensure_future(client.open(call(server.url)))
        await asked.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        async with asyncio.timeout(5):
            await gone.wait()


async def test_an_answer_nobody_closed_is_closed_when_it_is_forgotten(client):
    gone = asyncio.Event()

    async def script(line):
        await line.request()
        await line.send(CHUNKED)
        await line.gone()
        gone.set()

    async with ScriptedServer(script) as server:
        answer = await client.open(call(server.url))
        pieces = answer.pieces()
        del answer
        await asyncio.sleep(0)
        assert not gone.is_set()
        if not client._usually_lean:
            await pieces._answer.close()
        del pieces
        async with asyncio.timeout(5):
            await gone.wait()


async def test_a_demo_call_stays_in_the_process(client):
    answer = await client.open(call("http://demo.invalid/v1", content=b'{"messages":[]}', demo=True))
    assert b"demo" in await answer.body(100_000)
    await answer.close()


async def test_a_proxy_variable_that_applies_sends_the_call_through_the_proxy(
    lean_transport, monkeypatch, no_names
):
    seen = []

    async def proxy(line):
        seen.append((await line.request())[0])
        await line.send(OK)

    async with ScriptedServer(proxy) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("NO_PROXY", "exempt.invalid")
        client = UpstreamClient(lean=lean_transport)
        answer = await client.open(call("http://provider.invalid/v1"))
        assert await answer.body(10) == b"ok"
        await answer.close()
        with pytest.raises(UpstreamUnreachable, match="name resolution failed"):
            await client.open(call("http://exempt.invalid/v1"))
        await client.close()
    assert seen[0].startswith(b"POST http://provider.invalid/v1 HTTP/1.1\r\n")


async def test_a_transport_given_from_outside_is_the_one_used(lean_transport, monkeypatch):
    def handler(request):
        return httpx.Response(200, content=b"given")

    async def never(host, port, *, link_local):
        raise AssertionError("went to the network")

    monkeypatch.setattr(lean, "connected_socket", never)
    client = UpstreamClient(transport=httpx.MockTransport(handler), lean=lean_transport)
    answer = await client.open(call("http://anywhere.invalid/"))
    assert await answer.body(10) == b"given"
    await client.close()


async def test_a_link_local_address_is_refused_in_words(client):
    for ask in (client.open, client.get):
        with pytest.raises(UpstreamUnreachable, match="ALLOW_LINK_LOCAL") as caught:
            await ask(call("http://0xa9fea9fe/latest/meta-data"))
        assert caught.value.should_retry is False


async def test_nothing_is_sent_on_a_connection_that_a_name_led_astray(client, monkeypatch):
    # the name leads to this machine, which stands for a link-local address here
    for module in ("client", "http1.happy_eyeballs"):
        monkeypatch.setattr(f"gateway.upstream.{module}.is_link_local", lambda host: host == "127.0.0.1")
    seen = []

    async def script(line):
        seen.append(await line.request())

    async with ScriptedServer(script) as server:
        for ask in (client.open, client.get):
            with pytest.raises(UpstreamUnreachable, match="ALLOW_LINK_LOCAL"):
                await ask(call(server.url.replace("127.0.0.1", "localhost")))
    assert seen == []
