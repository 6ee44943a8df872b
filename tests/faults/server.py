"""An upstream on a real socket that can be told to fail at any byte.

A script is a list of steps, played for every connection:

    bytes           sent as they stand
    a number        a pause in seconds
    HOLD            nothing more; waits until the client goes away
    RESET, CLOSE    the connection is reset, or closed
    Trickle(data)   one byte at a time
    Endless(data)   the same again and again, until the client goes away

A script that is played to its end leaves the connection open for the next request.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import Any, Final

HOLD: Final = object()
RESET: Final = object()
CLOSE: Final = object()
PAUSE: Final = 0.03


@dataclass(frozen=True)
class Trickle:
    data: bytes


@dataclass(frozen=True)
class Endless:
    data: bytes


class FaultServer:
    """`requests` counts those that arrived; `busy` are connections in the middle of a script."""

    def __init__(self, *script: Any) -> None:
        self.script = script
        self.requests = 0
        self.connections = 0
        self.busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> FaultServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        return self

    async def __aexit__(self, *_: Any) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answered(reader, writer):
                    pass
        finally:
            self.connections -= 1
            writer.transport.abort()
            self._tasks.discard(task)

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Play the script for one request; False when the connection is over."""
        if self.script[:1] != (RESET,):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length:" in line
            )
            await reader.readexactly(length)
        self.requests += 1
        self.busy += 1
        self._idle.clear()
        try:
            return await self._played(reader, writer)
        finally:
            self.busy -= 1
            if not self.busy:
                self._idle.set()

    async def idle(self) -> None:
        """Return when no connection is in the middle of a script."""
        await self._idle.wait()

    async def _played(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        for step in self.script:
            if step is RESET:
                writer.transport.abort()
                return False
            if step is CLOSE:
                writer.close()
                await _gone(reader)
                return False
            if step is HOLD:
                await _gone(reader)
                return False
            if isinstance(step, int | float):
                await asyncio.sleep(step)
            elif isinstance(step, Trickle):
                gone = asyncio.ensure_future(_gone(reader))
                for byte in step.data:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    done, _ = await asyncio.wait({gone}, timeout=PAUSE)
                    if done:
                        return False
                gone.cancel()
            elif isinstance(step, Endless):
                gone = asyncio.ensure_future(_gone(reader))
                while not gone.done():
                    writer.write(step.data)
                    await writer.drain()
                    await asyncio.wait({gone}, timeout=PAUSE)
                return False
            else:
                writer.write(step)
                await writer.drain()
        return True


async def _gone(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(65536):
            pass


class Deaf:
    """A port that listens and never accepts: the handshake is the kernel's, nothing else happens."""

    requests = busy = connections = 0

    async def idle(self) -> None:
        """Nothing was ever accepted."""

    async def __aenter__(self) -> Deaf:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=16)
        return self

    async def __aexit__(self, *_: Any) -> None:
        self._socket.close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"


class Closed(Deaf):
    """A port that nobody listens on."""

    async def __aenter__(self) -> Closed:
        await super().__aenter__()
        self._url = super().base_url
        self._socket.close()
        return self

    @property
    def base_url(self) -> str:
        return self._url
