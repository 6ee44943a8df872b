"""Speaks ASGI to the gateway's handler: sends a request, collects or follows the answer, can go away."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ccproxy_site.server.api_request import WRITE_THROUGH


class Answering:
    """One request under way. `status` and `headers` are there after `head()`."""

    def __init__(self, application: Any, scope: dict[str, Any], body: bytes, *, direct: bool) -> None:
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._outgoing: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.straight: list[bytes] = []
        self.held_back = False
        scope = {**scope, "extensions": {WRITE_THROUGH: self}} if direct else scope
        self.task = asyncio.ensure_future(self._run(application, scope))

    async def _run(self, application: Any, scope: dict[str, Any]) -> None:
        try:
            await application(scope, self._incoming.get, self._send)
        finally:
            self._outgoing.put_nowait(None)

    def write(self, piece: bytes) -> None:
        """The extension: a piece past the messages."""
        self.straight.append(piece)
        self._outgoing.put_nowait({"type": "http.response.body", "body": piece, "more_body": True})

    async def _send(self, message: dict[str, Any]) -> None:
        self._outgoing.put_nowait(message)

    async def head(self) -> None:
        message = await asyncio.wait_for(self._outgoing.get(), 10)
        assert message is not None, "the application ended without an answer"
        assert message["type"] == "http.response.start"
        self.status = message["status"]
        self.headers = {k.decode().lower(): v.decode() for k, v in message["headers"]}

    async def piece(self) -> bytes | None:
        """The next piece of the body; None at its end."""
        message = await asyncio.wait_for(self._outgoing.get(), 10)
        if message is None:
            return None
        body = message.get("body", b"")
        self.pieces.append(body)
        if not message.get("more_body", False) and not body:
            return None
        return body

    async def rest(self) -> bytes:
        while await self.piece() is not None:
            pass
        await self.task
        return b"".join(self.pieces)

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    @property
    def text(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def events(self) -> list[dict[str, Any]]:
        found = []
        for block in self.text.decode().split("\n\n"):
            if block:
                name, data = block.split("\n")
                event = json.loads(data.removeprefix("data: "))
                assert name == f"event: {event['type']}"
                found.append(event)
        return found


class Client:
    def __init__(self, application: Any, address: str = "127.0.0.1") -> None:
        self.application = application
        self.address = address
        self.http_version = "1.1"
        # whether the server offers its own way of writing a body
        self.direct = False
        self.headers = {"host": "127.0.0.1:8082", "content-type": "application/json", "x-api-key": "any"}

    def open(
        self, method: str, path: str, body: Any = b"", headers: dict[str, str] | None = None
    ) -> Answering:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        path, _, query = path.partition("?")
        named = {**self.headers, **(headers or {})}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": self.http_version,
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "headers": [(k.encode(), v.encode()) for k, v in named.items() if v is not None],
            "client": [self.address, 5000],
            "server": ["127.0.0.1", 8082],
        }
        return Answering(self.application, scope, raw, direct=self.direct)

    async def request(self, method: str, path: str, body: Any = b"", **options: Any) -> Answering:
        answering = self.open(method, path, body, **options)
        await answering.head()
        await answering.rest()
        return answering

    async def post(self, path: str, body: Any, **options: Any) -> Answering:
        return await self.request("POST", path, body, **options)

    async def get(self, path: str, **options: Any) -> Answering:
        return await self.request("GET", path, **options)

    async def messages(self, body: Any, **options: Any) -> Answering:
        return await self.post("/v1/messages", body, **options)
