"""A provider for aborts: it answers as far as the model's name says, and then stays silent.

It notes when a request arrived, when it had sent everything, and when the gateway closed the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from bench.load import HOST

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.I)
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_FULL: Final = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 8\r\ncontent-type: application/json\r\n"
_MISSING: Final = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\n"


def _chunk(delta: dict[str, Any]) -> bytes:
    value = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}
    text = b"data: " + json.dumps(value).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(text), text)


def _error(head: bytes) -> bytes:
    body = b'{"error": {"message": "not now"}}'
    return head + b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


_CALL: Final = {"index": 0, "id": "call_1", "function": {"name": "Write", "arguments": '{"file_path": "a'}}
# by the first word of the model: what is sent before the silence
_SAID: Final[dict[str, bytes]] = {
    "headers": b"",
    "first": _HEAD,
    "text": _HEAD + _chunk({"content": "The beginning of an answer"}),
    "tool": _HEAD + _chunk({"tool_calls": [_CALL]}),
    "retry": _error(_FULL),
    "missing": _error(_MISSING),
}


@dataclass
class Asked:
    """One request, by its model's name. `closed` is the loop's time at which the gateway closed."""

    said: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Future[float] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    times: int = 0


class AbortUpstream:
    """A server on a free port; `asked[model]` holds the notes of a request."""

    def __init__(self) -> None:
        self.asked: dict[str, Asked] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, HOST, 0, backlog=1000)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def expect(self, model: str) -> Asked:
        """The notes for a request that is about to come."""
        return self.asked.setdefault(model, Asked())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = json.loads(await reader.readexactly(int(length[1]) if length else 0))
        asked = self.expect(body["model"])
        asked.times += 1
        said = _SAID[body["model"].removeprefix("ep-").split("-")[0]]
        writer.write(said)
        await writer.drain()
        asked.said.set()
        if b"connection: close" in said:
            return
        with contextlib.suppress(OSError):
            await reader.read()
        if not asked.closed.done():
            asked.closed.set_result(asyncio.get_running_loop().time())
