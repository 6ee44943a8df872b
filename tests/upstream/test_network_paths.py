"""Providers behind proxies, CAs and client certificates of their own, against real servers on loopback."""

import asyncio
import dataclasses
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.errors import UpstreamUnreachable
from gateway.routing.network_path import NetworkPath, TLSIdentity, proxy_of
from gateway.upstream.client import UpstreamClient
from gateway.upstream.http1 import happy_eyeballs
from gateway.upstream.request_builder import UpstreamCall
from tests.upstream.proxies import ProxyServer
from tests.upstream.sockets import CHUNKED, OK, ScriptedServer, answering, certificates, opened_since, sockets

pytestmark = pytest.mark.parametrize("lean_transport", [True, False], ids=["lean", "httpx"])
LOGIN = ("me", "p:ss wörd")
SCHEMES = ["http", "socks5", "socks5h"]


@pytest.fixture
async def client(lean_transport, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = UpstreamClient(lean=lean_transport)
    yield made
    await made.close()


def call(url, **way):
    return UpstreamCall(
        url, b'{"a":1}', {"authorization": "Bearer k"}, network=NetworkPath(**way) if way else None
    )


def through(proxy, scheme="http", login=("", "")):
    return proxy_of(f"{scheme}://127.0.0.1:{proxy.port}", login)


async def answered(client, asked, method="open"):
    answer = await getattr(client, method)(asked)
    try:
        return answer.status, await answer.body(1000)
    finally:
        await answer.close()


def identity(folder, **fields):
    """A TLS server's context and the identity that trusts it."""
    ca, context = certificates(folder)
    return context, TLSIdentity(ca=ca.read_text(), **fields)


def own_certificate(folder):
    """(PEM of our certificate, PEM of its key, path of the CA that signed it)."""
    folder.mkdir()
    ca, _ = certificates(folder)
    pem = (folder / "server.pem").read_bytes()
    certificate = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.PEM).decode()
    return certificate, pem.decode().split("-----BEGIN CERTIFICATE")[0], ca


@pytest.mark.parametrize("login", [("", ""), LOGIN], ids=["open", "login"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_every_kind_of_proxy_leads_to_every_kind_of_provider(client, tmp_path, scheme, secure, login):
    context, tls = identity(tmp_path)
    served = ScriptedServer(answering(OK), context=context if secure else None)
    async with served as server, ProxyServer(server.port, login if any(login) else None) as proxy:
        way = {"proxy": through(proxy, scheme, login), "tls": tls}
        assert await answered(client, call(server.url, **way)) == (200, b"ok")
        assert await answered(client, call(server.url, **way)) == (200, b"ok")
        # the second request took the same connection, or asked the proxy by name again
        place = f"127.0.0.1:{server.port}"
        plain = scheme == "http" and not secure
        assert set(proxy.asked) == {server.url if plain else place}
        assert server.connections == 1


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_lists_of_models_take_the_same_way(client, scheme):
    async def script(line):
        head = await line.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"GET ")
        await line.send(OK)

    async with ScriptedServer(script) as server, ProxyServer(server.port) as proxy:
        way = call(server.url, proxy=through(proxy, scheme))
        assert await answered(client, dataclasses.replace(way, content=b""), "get") == (200, b"ok")
        assert len(proxy.asked) == 1


async def test_a_stream_comes_through_a_tunnel_piece_by_piece(client, tmp_path):
    context, tls = identity(tmp_path)
    more = asyncio.Event()

    async def script(line):
        await line.request()
        await line.send(CHUNKED + b"3\r\none\r\n")
        await more.wait()
        await line.send(b"3\r\ntwo\r\n0\r\n\r\n")

    async with ScriptedServer(script, context=context) as server, ProxyServer(server.port) as proxy:
        answer = await client.open(call(server.url, proxy=through(proxy), tls=tls))
        pieces = answer.pieces()
        assert await anext(pieces) == b"one"
        more.set()
        assert await anext(pieces) == b"two"
        await answer.close()


async def test_a_proxy_may_speak_tls_itself(client, tmp_path, monkeypatch):
    (tmp_path / "proxy").mkdir()
    (tmp_path / "server").mkdir()
    proxy_ca, proxy_context = certificates(tmp_path / "proxy")
    context, tls = identity(tmp_path / "server")
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy_ca))
    served = ScriptedServer(answering(OK), context=context)
    async with served as server, ProxyServer(server.port, context=proxy_context) as proxy:
        way = call(server.url, proxy=through(proxy, "https"), tls=tls)
        assert await answered(client, way) == (200, b"ok")
        assert proxy.asked == [f"127.0.0.1:{server.port}"]


async def test_socks5_resolves_names_here_and_socks5h_at_the_proxy(client, monkeypatch):
    def known(host, port):
        return happy_eyeballs.socket.getaddrinfo("127.0.0.1", port, type=happy_eyeballs.socket.SOCK_STREAM)

    monkeypatch.setattr(happy_eyeballs, "_looked_up", known)
    async with ScriptedServer(answering(OK)) as server, ProxyServer(server.port) as proxy:
        for scheme, name in (("socks5", "127.0.0.1"), ("socks5h", "llm.corp.invalid")):
            asked = call("http://llm.corp.invalid:81/v1", proxy=through(proxy, scheme))
            assert await answered(client, asked) == (200, b"ok")
            assert proxy.asked[-1] == f"{name}:81"


async def test_only_the_provider_s_own_ca_is_trusted(client, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    context, tls = identity(tmp_path)
    other_ca, other_context = certificates(tmp_path / "other")
    # what the gateway trusts elsewhere counts for nothing here
    monkeypatch.setenv("SSL_CERT_FILE", str(other_ca))
    async with ScriptedServer(answering(OK), context=context) as server:
        assert await answered(client, call(server.url, tls=tls)) == (200, b"ok")
        with pytest.raises(UpstreamUnreachable, match="TLS certificate invalid"):
            await client.open(call(server.url))
    async with ScriptedServer(answering(OK), context=other_context) as server:
        with pytest.raises(UpstreamUnreachable, match="TLS certificate invalid"):
            await client.open(call(server.url, tls=tls))


async def test_a_client_certificate_is_shown_and_one_provider_s_is_not_another_s(client, tmp_path):
    certificate, key, signer = own_certificate(tmp_path / "own")
    context, tls = identity(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(signer)
    async with ScriptedServer(answering(OK), context=context) as server:
        mine = dataclasses.replace(tls, certificate=certificate, key=key)
        assert await answered(client, call(server.url, tls=mine)) == (200, b"ok")
        # the connection that was let in waits to be used again: for the same certificate alone
        with pytest.raises(UpstreamUnreachable):
            await client.open(call(server.url, tls=tls))


@pytest.mark.parametrize(
    ("scheme", "login", "said", "again"),
    [
        ("http", ("", ""), r"its proxy: HTTP 407: it asks for a user", False),
        ("http", ("me", "wrong"), r"its proxy: HTTP 407", False),
        ("socks5", ("", ""), r"its proxy: it asks for a user and password", False),
        ("socks5h", ("me", "wrong"), r"its proxy: it refuses the user or the password", False),
    ],
)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_a_proxy_that_refuses_the_login_is_said(client, tmp_path, scheme, login, said, again, secure):
    context, tls = identity(tmp_path)
    async with ScriptedServer(answering(OK), context=context if secure else None) as server:
        async with ProxyServer(server.port, LOGIN) as proxy:
            with pytest.raises(UpstreamUnreachable, match=said) as told:
                await client.open(call(server.url, proxy=through(proxy, scheme, login), tls=tls))
            assert told.value.should_retry is again
            assert "wrong" not in told.value.message
        assert server.connections == 0


@pytest.mark.parametrize(
    ("bytes_of_the_proxy", "scheme", "said"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", "http", r"its proxy: HTTP 503"),
        (b"HTTP/1.1 403 No\r\n\r\n", "http", r"its proxy: HTTP 403"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "http", r"its proxy: its answer is not HTTP"),
        (b"x" * 70_000, "http", r"its proxy: its answer is too long"),
        (b"", "http", r"its proxy: it closed the connection"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "socks5", r"its proxy: its answer is not SOCKS 5"),
        (b"\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", "socks5", r"its proxy: connection refused"),
        (b"\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", "socks5h", r"its rules do not allow"),
        (b"\x05\x00\x05\x00\x00\x07\x00\x00\x00\x00\x00\x00", "socks5h", r"not SOCKS 5"),
        (b"\x05\x00\x05\x63\x00\x01\x00\x00\x00\x00\x00\x00", "socks5h", r"SOCKS error 99"),
    ],
)
async def test_whatever_a_proxy_says_is_an_error_in_words_and_leaves_no_socket(
    client, tmp_path, bytes_of_the_proxy, scheme, said
):
    _, tls = identity(tmp_path)
    held = sockets()

    async def script(line):
        await line.reader.read(1)
        await line.send(bytes_of_the_proxy)

    async with ScriptedServer(script) as proxy:
        with pytest.raises(UpstreamUnreachable, match=said):
            await client.open(call("https://127.0.0.1:1/v1", proxy=through(proxy, scheme), tls=tls))
    await client.close()
    async with asyncio.timeout(60):
        while opened_since(held):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_proxy_that_is_not_there_is_said(client):
    with pytest.raises(UpstreamUnreachable, match=r"\(its proxy: connection refused\)"):
        await client.open(call("https://127.0.0.1:9/v1", proxy=proxy_of("http://127.0.0.1:1")))


async def test_no_answer_of_a_proxy_outlasts_the_connect_timeout(client):
    async def silent(line):
        await line.gone()

    async with ScriptedServer(silent) as proxy:
        asked = dataclasses.replace(
            call("https://127.0.0.1:1/v1", proxy=through(proxy)), connect_timeout=0.05
        )
        with pytest.raises(Exception, match="timed out"):
            await client.open(asked)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_no_proxy_leads_to_a_metadata_service(client, scheme):
    async with ProxyServer(1) as proxy:
        for host in ("169.254.169.254", "2852039166", "metadata.google.internal"):
            with pytest.raises(UpstreamUnreachable, match="link-local"):
                await client.open(call(f"http://{host}/v1", proxy=through(proxy, scheme)))
        assert proxy.asked == []


async def test_the_environment_names_proxies_and_a_provider_may_be_without(
    lean_transport, tmp_path, monkeypatch
):
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with ScriptedServer(answering(OK)) as server, ProxyServer(server.port, LOGIN) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://me:p%3Ass%20w%C3%B6rd@127.0.0.1:{proxy.port}")
        client = UpstreamClient(lean=lean_transport)
        assert await answered(client, call(server.url)) == (200, b"ok")
        assert await answered(client, call(server.url), "get") == (200, b"ok")
        # both on one connection
        assert len(proxy.asked) == 1
        assert await answered(client, call(server.url, direct=True)) == (200, b"ok")
        assert (len(proxy.asked), server.connections) == (1, 2)
        await client.close()
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8, 127.0.0.0/8")
        client = UpstreamClient(lean=lean_transport)
        assert await answered(client, call(server.url)) == (200, b"ok")
        assert len(proxy.asked) == 1
        # a proxy of the provider's own is not for the environment to take away
        asked = call(server.url, proxy=through(proxy, "socks5", LOGIN))
        assert await answered(client, asked) == (200, b"ok")
        assert len(proxy.asked) == 2
        await client.close()


async def test_a_variable_that_names_no_proxy_is_said(lean_transport, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks4://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    client = UpstreamClient(lean=lean_transport)
    with pytest.raises(
        UpstreamUnreachable, match="a proxy variable of the gateway: it must begin with"
    ) as told:
        await client.open(call("http://provider.invalid/v1"))
    assert told.value.should_retry is False
    await client.close()
