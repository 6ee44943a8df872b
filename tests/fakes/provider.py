"""A provider on a real loopback socket, told per model what to answer.

    provider.answers("m", stream("Hello", " world"))
    provider.answers("m", Answer(status=429, headers={"retry-after": "1"}, body=b"{}"), stream("ok"))

Several answers for one model are given in turn, the last one again and again.
`requests` holds what arrived. Pieces of a body go out as they stand; a number
is a pause in seconds, `CUT` resets the connection, `END` closes it without the end
of the chunked body, an asyncio.Event is waited for.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

CUT = object()
END = object()


@dataclass
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    pieces: list[Any] = field(default_factory=list)
    before_head: list[Any] = field(default_factory=list)


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)


def chunk(delta=None, finish_reason=None, usage=None, **more) -> bytes:
    """One server-sent chunk of a chat completion stream."""
    value = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "up",
        "choices": [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        **more,
    }
    if usage:
        value["usage"] = usage
    return b"data: " + json.dumps(value).encode() + b"\n\n"


USAGE = {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}
TRAILER = [chunk({}, "stop"), chunk(usage=USAGE), b"data: [DONE]\n\n"]
SSE = {"content-type": "text/event-stream", "x-request-id": "up-1"}


def stream(*pieces: Any, tail: list[Any] | None = None) -> Answer:
    """A stream of texts; anything that is not a string is a piece as it stands."""
    body = [chunk({"content": piece}) if isinstance(piece, str) else piece for piece in pieces]
    return Answer(headers=SSE, pieces=body + (TRAILER if tail is None else tail))


def completion(text: str = "Hello", **message: Any) -> Answer:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "up",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }
    return Answer(
        headers={"content-type": "application/json", "x-request-id": "up-1"}, body=json.dumps(body).encode()
    )


def error(status: int, message: str = "no", headers: dict[str, str] | None = None, **more: Any) -> Answer:
    body = json.dumps({"error": {"message": message, **more}}).encode()
    return Answer(status, {"content-type": "application/json", **(headers or {})}, body)


class FakeProvider:
    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.arrived = asyncio.Event()
        self.closed_by_client = asyncio.Event()
        self._answers: dict[str, list[Answer]] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def answers(self, model: str, *answers: Answer) -> None:
        self._answers[model] = list(answers)

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def start(self) -> FakeProvider:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(first.split(" ")[1], headers, raw)
        self.requests.append(request)
        self.arrived.set()
        return await self._answered(self.answer_to(request), reader, writer)

    def answer_to(self, request: Request) -> Answer:
        """The next answer in turn. Requests without a body are told apart by their path."""
        queue = self._answers[request.body["model"] if request.raw else request.path]
        return queue.pop(0) if len(queue) > 1 else queue[0]

    async def _answered(self, answer: Answer, reader: Any, writer: asyncio.StreamWriter) -> bool:
        watch = asyncio.ensure_future(self._watch(reader, writer))
        try:
            if not await self._pieces(answer.before_head, writer, chunked=False):
                return False
            headers = dict(answer.headers)
            if answer.body is not None:
                headers["content-length"] = str(len(answer.body))
            else:
                headers["transfer-encoding"] = "chunked"
            text = f"HTTP/1.1 {answer.status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
            writer.write(text.encode("latin1") + b"\r\n" + (answer.body or b""))
            await writer.drain()
            if answer.body is None:
                if not await self._pieces(answer.pieces, writer, chunked=True):
                    return False
                writer.write(b"0\r\n\r\n")
                await writer.drain()
            return True
        finally:
            watch.cancel()

    async def _pieces(self, pieces: list[Any], writer: asyncio.StreamWriter, *, chunked: bool) -> bool:
        for piece in pieces:
            if piece is CUT:
                writer.transport.abort()
                return False
            if piece is END:
                return False
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif isinstance(piece, int | float):
                await asyncio.sleep(piece)
            else:
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                await writer.drain()
        return True

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # the client sends nothing while it is answered, so an end or a reset here means that it left
        while not (reader.at_eof() or reader.exception() or writer.transport.is_closing()):
            if reader._buffer:  # type: ignore[attr-defined]
                return
            await asyncio.sleep(0.01)
        self.closed_by_client.set()
