"""What is said to a proxy before it connects us to a provider: CONNECT, or SOCKS 5 (RFC 1928, 1929)."""

from __future__ import annotations

import asyncio
import ipaddress
from base64 import b64encode
from collections.abc import Callable
from typing import Final, cast

import httpx

from gateway.routing.network_path import Proxy

MAX_ANSWER: Final = 64 * 1024
_SOCKS_REPLIES: Final = {
    1: "general failure",
    2: "its rules do not allow this connection",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "it took too long",
    7: "it does not speak this command",
    8: "it does not know this kind of address",
}


class ProxyFailed(httpx.ProxyError):
    """The proxy could not be reached, or did not connect us. `final`: trying again changes nothing."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


class Dialogue(asyncio.Protocol):
    """Questions and answers on a connection, until another protocol takes it over."""

    def __init__(self) -> None:
        self._arrived = bytearray()
        self._more: asyncio.Future[None] | None = None
        self._ended = False
        self.transport: asyncio.Transport | None = None

    async def ask(self, question: bytes, length: Callable[[bytes], int]) -> bytes:
        """Send the question; the answer, whose length `length` knows once enough is there (0: not yet).

        Raises ProxyFailed.
        """
        assert self.transport is not None
        self.transport.write(question)
        while True:
            whole = length(bytes(self._arrived))
            if whole:
                answer = bytes(self._arrived[:whole])
                del self._arrived[:whole]
                return answer
            if self._ended:
                raise ProxyFailed("it closed the connection")
            if len(self._arrived) > MAX_ANSWER:
                raise ProxyFailed("its answer is too long")
            self._more = asyncio.get_running_loop().create_future()
            await self._more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._arrived += data
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)


async def connect(dialogue: Dialogue, proxy: Proxy, host: str, port: int) -> None:
    """Ask an HTTP proxy for a tunnel. Raises ProxyFailed."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    login = authorization(proxy)
    if login:
        lines.append(f"Proxy-Authorization: {login.decode('ascii')}")
    question = "\r\n".join([*lines, "", ""]).encode("ascii")
    answer = await dialogue.ask(
        question, lambda arrived: arrived.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in arrived else 0
    )
    words = answer.split(b"\r\n", 1)[0].split(b" ", 2)
    status = int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].isdigit() else 0
    if not 200 <= status < 300:
        raise refused(status)


def refused(status: int) -> ProxyFailed:
    """The error for a proxy's answer with this HTTP status; 0 when it was no HTTP."""
    if not status:
        return ProxyFailed("its answer is not HTTP", final=True)
    if status == 407:
        return ProxyFailed("HTTP 407: it asks for a user and password, or refuses those it got", final=True)
    return ProxyFailed(f"HTTP {status}", final=status in (401, 403, 405))


def authorization(proxy: Proxy) -> bytes:
    """The value of Proxy-Authorization; b"" without a login."""
    if not any(proxy.login):
        return b""
    return b"Basic " + b64encode(":".join(proxy.login).encode())


async def socks(dialogue: Dialogue, proxy: Proxy, host: str, port: int) -> None:
    """Ask a SOCKS 5 proxy for a connection to a host: an address, or a name that it resolves.

    Raises ProxyFailed.
    """
    with_login = any(proxy.login)
    methods = b"\x00\x02" if with_login else b"\x00"
    chosen = await dialogue.ask(b"\x05%c%b" % (len(methods), methods), _of_length(2))
    if chosen[0] != 5:
        raise ProxyFailed("its answer is not SOCKS 5", final=True)
    if chosen[1] == 2 and with_login:
        user, password = (part.encode() for part in proxy.login)
        if not (0 < len(user) < 256 and len(password) < 256):
            raise ProxyFailed("SOCKS takes a user and a password of at most 255 bytes", final=True)
        login = b"\x01%c%b%c%b" % (len(user), user, len(password), password)
        if (await dialogue.ask(login, _of_length(2)))[1] != 0:
            raise ProxyFailed("it refuses the user or the password", final=True)
    elif chosen[1] != 0:
        raise ProxyFailed("it asks for a user and password", final=True)
    request = b"\x05\x01\x00%b%b" % (_socks_address(host), port.to_bytes(2, "big"))
    answer = await dialogue.ask(request, _socks_reply_length)
    if answer[1] != 0:
        raise ProxyFailed(_SOCKS_REPLIES.get(answer[1], f"SOCKS error {answer[1]}"), final=answer[1] == 2)


def _of_length(length: int) -> Callable[[bytes], int]:
    return lambda arrived: length if len(arrived) >= length else 0


def _socks_address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("ascii")
        if len(name) > 255:
            raise ProxyFailed("the host's name is too long", final=True) from None
        return b"\x03%c%b" % (len(name), name)
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


def _socks_reply_length(arrived: bytes) -> int:
    if len(arrived) < 5:
        return 0
    if arrived[0] != 5:
        raise ProxyFailed("its answer is not SOCKS 5", final=True)
    address = {1: 4, 4: 16, 3: 1 + arrived[4]}.get(arrived[3])
    if address is None:
        raise ProxyFailed("its answer is not SOCKS 5", final=True)
    return 6 + address if len(arrived) >= 6 + address else 0
