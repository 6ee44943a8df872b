"""A provider inside the process, reached through the HTTP client like any other.

The demo provider runs on it, so that conversion, streaming and history are the real ones. (httpx's
own ASGI transport collects the whole answer first.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class InProcessAnswer:
    """Status, headers and the pieces of the body in the order they are sent."""

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]


# body of the request -> answer
InProcessHandler = Callable[[bytes], Awaitable[InProcessAnswer]]


class InProcessTransport(httpx.AsyncBaseTransport):
    """Passes each request's body to `handler`."""

    def __init__(self, handler: InProcessHandler) -> None:
        self._handler = handler

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._handler(await request.aread())
        return httpx.Response(
            answer.status, headers=dict(answer.headers), stream=_Pieces(answer.pieces), request=request
        )


class _Pieces(httpx.AsyncByteStream):
    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            yield piece
