"""Proxies on loopback: HTTP (CONNECT and whole URLs) and SOCKS 5, with a login if wanted."""

import asyncio
import contextlib
import ipaddress
from base64 import b64decode


class ProxyServer:
    """Every connection goes to `target`, whatever was asked; `asked` keeps what that was.

    `login`: (user, password) that it insists on. `context`: speak TLS to clients.
    """

    def __init__(self, target, login=None, context=None) -> None:
        self._target = target
        self._login = login
        self._context = context
        self._tasks = set()
        self.asked = []
        self.heads = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            first = await reader.readexactly(1)
            await (self._socks(reader, writer) if first == b"\x05" else self._http(first, reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _http(self, first, reader, writer) -> None:
        head = first + await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        method, place, _ = head.split(b"\r\n")[0].split(b" ")
        self.asked.append(place.decode())
        if self._login and self._login != _shown(head):
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            head = b""
        await self._joined(reader, writer, head)

    async def _socks(self, reader, writer) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        wanted = 2 if self._login else 0
        writer.write(bytes([5, wanted if wanted in methods else 0xFF]))
        if wanted not in methods:
            return
        if self._login:
            await reader.readexactly(1)
            user = await reader.readexactly((await reader.readexactly(1))[0])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            good = (user.decode(), password.decode()) == self._login
            writer.write(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return
        kind = (await reader.readexactly(4))[3]
        size = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
        host = await reader.readexactly(size)
        port = int.from_bytes(await reader.readexactly(2), "big")
        name = host.decode() if kind == 3 else str(ipaddress.ip_address(host))
        self.asked.append(f"{name}:{port}")
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        await self._joined(reader, writer, b"")

    async def _joined(self, reader, writer, first) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            return
        far_writer.write(first)
        both = [asyncio.ensure_future(_copied(reader, far_writer)),
                asyncio.ensure_future(_copied(far_reader, writer))]  # fmt: skip
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            far_writer.transport.abort()


async def _copied(reader, writer) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()


def _shown(head):
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"proxy-authorization: basic "):
            return tuple(b64decode(line.split(b" ")[2]).decode().split(":", 1))
    return None
