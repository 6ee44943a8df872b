"""A very cheap OpenAI-compatible provider: it answers what the model's name says (answers.py).

    python -m bench.upstream --port 18100

Of a request it reads only the length, `model` and `stream`; nearly everything it sends is computed once per
model. It accepts every path, so that every target can be pointed here. Streams with a gap of 100 ms or more
tick together: all of them are written in the same turn, the worst case for whoever forwards them.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import re
import time
from typing import Final

from bench.answers import CLOCK_DIGITS
from bench.upstream_bytes import END_OF_BODY, STREAM_HEAD, Writes, whole_answer, writes_for

TICK_TOGETHER: Final = 0.1

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.I)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.I)
_EXPECT: Final = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.I)
_MODEL: Final = re.compile(rb'"model"\s*:\s*"(?:[^"/]*/)?(ep-[^"]+)"')
_STREAM: Final = re.compile(rb'"stream"\s*:\s*true')
_NOT_FOUND: Final = (
    b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 46\r\n\r\n"
    b'{"error":{"message":"not a benchmark model"}}\n'
)
_MODELS: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 28\r\n\r\n"
    b'{"object":"list","data":[]}\n'
)


def clock_text() -> bytes:
    return b"%0*d" % (CLOCK_DIGITS, time.monotonic_ns())


def _unchunked(text: bytes) -> bytes:
    parts = []
    while True:
        size, _, text = text.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return b"".join(parts)
        parts.append(text[:length])
        text = text[length + 2 :]


class Ticker:
    """Calls everyone who waits for the same gap in one turn of the loop."""

    def __init__(self, gap: float) -> None:
        self._gap = gap
        self._waiting: list[Connection] = []
        self._loop = asyncio.get_running_loop()
        self._running = False

    def add(self, connection: Connection) -> None:
        self._waiting.append(connection)
        if not self._running:
            self._running = True
            self._loop.call_later(self._gap, self._tick)

    def _tick(self) -> None:
        due, self._waiting = self._waiting, []
        if not due:
            self._running = False
            return
        self._loop.call_later(self._gap, self._tick)
        for connection in due:
            connection.next_write()


@functools.cache
def ticker(gap: float) -> Ticker:
    return Ticker(gap)


class Connection(asyncio.Protocol):
    """One keep-alive connection; one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._writes: Writes | None = None
        self._position = 0
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, problem: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        body = self._whole_request()
        if body is not None:
            self._answer(body)

    def _whole_request(self) -> bytes | None:
        """The body of the request when it is complete, else None."""
        received = self._received
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(received[:end])
        length = _LENGTH.search(head)
        if length is not None:
            size = end + 4 + int(length[1])
            if len(received) < size:
                self._continue(head)
                return None
        elif _CHUNKED.search(head):
            if not received.endswith(b"\r\n0\r\n\r\n"):
                self._continue(head)
                return None
            body = _unchunked(bytes(received[end + 4 :]))
            received.clear()
            return body
        else:
            size = end + 4
        body = bytes(received[end + 4 : size])
        del received[:size]
        return body

    def _continue(self, head: bytes) -> None:
        if self._transport is not None and _EXPECT.search(head):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _answer(self, body: bytes) -> None:
        assert self._transport is not None
        model = _MODEL.search(body)
        if model is None:
            self._transport.write(_NOT_FOUND if body else _MODELS)
            return
        name = model[1].decode()
        if not _STREAM.search(body):
            self._transport.write(whole_answer(name))
            return
        self._writes, self._position = writes_for(name), 0
        self._transport.write(STREAM_HEAD)
        self._due = self._loop.time()
        self.next_write()

    def next_write(self) -> None:
        """Write the next piece; after the last one the end, and then wait for the next request."""
        writes = self._writes
        if self._transport is None or writes is None:
            return
        while True:
            parts = writes.parts[self._position]
            self._transport.write(parts[0] if len(parts) == 1 else clock_text().join(parts))
            self._position += 1
            if self._position == len(writes.parts):
                self._transport.write(END_OF_BODY)
                self._writes = None
                return
            if writes.gap:
                break
        if writes.gap >= TICK_TOGETHER:
            ticker(writes.gap).add(self)
        else:
            # from the time it was due, so that delays do not add up
            self._due += writes.gap
            self._loop.call_at(self._due, self.next_write)


async def serve(port: int = 0, host: str = "127.0.0.1") -> asyncio.Server:
    """Listen; the port is in `server.sockets[0].getsockname()[1]`."""
    return await asyncio.get_running_loop().create_server(Connection, host, port, backlog=2048)


async def _main(port: int) -> None:
    server = await serve(port)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0, help="default: a free one, printed")
    asyncio.run(_main(parser.parse_args().port))
