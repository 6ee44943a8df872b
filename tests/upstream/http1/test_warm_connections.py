"""TLS connections that are open before they are needed, and sessions that are resumed."""

import asyncio
import ssl

import pytest

from gateway.upstream.client import UpstreamClient
from gateway.upstream.http1 import spare as module
from gateway.upstream.http1.connection import ConnectionOrigin, LeanConnection
from gateway.upstream.http1.request import target
from gateway.upstream.http1.spare import SpareConnections
from gateway.upstream.http1.transport import LeanTransport
from tests.upstream.sockets import OK, ScriptedServer, answering, certificates, opened_since, settled, sockets

ORIGIN = ConnectionOrigin("https", "example.com", 443)


@pytest.fixture
def tls(tmp_path):
    """(the client's context, the server's)."""
    ca, server = certificates(tmp_path)
    return ssl.create_default_context(cafile=ca), server


async def posted(transport, url):
    answer = await transport.post(url, {}, b"{}", connect_timeout=10, write_timeout=10)
    assert [piece async for piece in answer] == [b"ok"]


async def test_a_second_connection_resumes_the_session_of_the_first(tls):
    context, server = tls
    resumed = []

    async def script(line):
        resumed.append(line.writer.get_extra_info("ssl_object").session_reused)
        await answering(OK.replace(b"Content-Length", b"Connection: close\r\nContent-Length"))(line)

    async with ScriptedServer(script, context=server) as provider:
        transport = LeanTransport(context)
        for _ in range(3):
            await posted(transport, provider.url)
        await transport.aclose()
    assert resumed == [False, True, True]


async def test_a_session_that_the_server_forgot_is_no_failure(tls, tmp_path):
    context, server = tls
    transport = LeanTransport(context)
    closing = OK.replace(b"Content-Length", b"Connection: close\r\nContent-Length")
    async with ScriptedServer(answering(closing), context=server) as provider:
        await posted(transport, provider.url)
    other, again = tmp_path / "other", None
    other.mkdir()
    _, again = certificates(other)
    # the new server's CA is another one, which a resumed session must not hide
    async with ScriptedServer(answering(closing), context=again) as provider:
        with pytest.raises(Exception, match="certificate verify failed"):
            await posted(transport, provider.url)
    await transport.aclose()


async def test_spare_connections_are_there_before_a_request_needs_them(tls):
    context, server = tls
    held = sockets()
    async with ScriptedServer(answering(OK), context=server) as provider:
        transport = LeanTransport(context, warm=2)
        transport.warm_up(provider.url)
        await settled(lambda: transport._pool.waiting(next(iter(transport._spare._asked))) == 2)
        await posted(transport, provider.url)
        assert provider.connections == 2
        await transport.aclose()
        await settled(lambda: opened_since(held) <= 1)


async def test_a_spare_connection_that_the_server_closed_is_replaced_and_fails_nobody(tls):
    context, server = tls

    async def closing(line):
        line.close()

    async with ScriptedServer(closing, answering(OK), context=server) as provider:
        transport = LeanTransport(context, warm=1)
        transport.warm_up(provider.url)
        await settled(lambda: provider.connections == 1)
        await posted(transport, provider.url)
        await transport.aclose()


async def test_without_the_setting_nothing_is_opened(tls):
    context, server = tls
    async with ScriptedServer(answering(OK), context=server) as provider:
        transport = LeanTransport(context)
        transport.warm_up(provider.url)
        await posted(transport, provider.url)
        assert (provider.connections, transport._spare._timer) == (1, None)
        await transport.aclose()


@pytest.mark.parametrize("url", ["ftp://x", "https://", "nonsense", "https://x:99999", "http://127.0.0.1:1"])
async def test_what_is_no_address_of_tls_is_passed_over(url):
    client = UpstreamClient(warm=1)
    client.warm_up([url])
    assert client._lean._spare._asked == {}
    await client.close()


class Opener:
    """Counts what is opened; `fails` raises."""

    def __init__(self, fails=False):
        self.opened = 0
        self.fails = fails

    async def open_one(self, origin, timeout):
        self.opened += 1
        if self.fails:
            raise OSError("no")


async def test_a_provider_that_is_away_is_left_alone_for_a_while():
    opener = Opener(fails=True)
    spare = SpareConnections(3, lambda _origin: 0, opener.open_one)
    spare.asked(ORIGIN)
    await settled(lambda: opener.opened == 1 and not spare._opening)
    spare._look()
    assert not spare._opening and opener.opened == 1
    spare.close()


async def test_a_provider_that_nobody_asks_any_more_is_forgotten(monkeypatch):
    opener = Opener()
    spare = SpareConnections(1, lambda _origin: opener.opened, opener.open_one)
    spare.asked(ORIGIN)
    await settled(lambda: opener.opened == 1 and not spare._opening)
    monkeypatch.setattr(module, "WARM_FOR", -1.0)
    spare._timer.cancel()
    spare._look()
    assert spare._timer is None and spare._asked == {}


async def test_no_more_are_opened_than_are_wanted_however_often_somebody_asks():
    opener = Opener()
    spare = SpareConnections(2, lambda _origin: opener.opened, opener.open_one)
    for _ in range(50):
        spare.asked(ORIGIN)
    await settled(lambda: opener.opened == 2 and not spare._opening)
    spare._look()
    await asyncio.sleep(0)
    assert opener.opened == 2
    spare.close()


async def test_a_connection_that_ended_with_its_handshake_never_waits_in_the_pool(tls, monkeypatch):
    """A peer may close behind the last flight of the handshake; such a one was looked at without end."""
    context, server = tls
    made = LeanConnection.connection_made

    def ended_at_once(self, transport):
        made(self, transport)
        self.abort()

    monkeypatch.setattr(LeanConnection, "connection_made", ended_at_once)
    async with ScriptedServer(answering(OK), context=server) as provider:
        transport = LeanTransport(context, warm=1)
        origin = target(provider.url).origin
        await transport._open_spare(origin, 10)
        assert transport._pool.waiting(origin) == 0
        await transport.aclose()
