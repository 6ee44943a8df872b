"""A search engine on a real loopback socket that answers in one API's form."""

from __future__ import annotations

import asyncio
import json
from typing import Any


class FakeSearchEngine:
    """`answer` is what every request gets; `asked` holds (request line, headers, body) of each."""

    def __init__(self, answer: Any, status: int = 200) -> None:
        self.answer = answer
        self.status = status
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> FakeSearchEngine:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append((first, headers, body))
        raw = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        writer.write(
            f"HTTP/1.1 {self.status} X\r\ncontent-type: application/json\r\n"
            f"content-length: {len(raw)}\r\nconnection: close\r\n\r\n".encode()
            + raw
        )
        await writer.drain()
        writer.close()
