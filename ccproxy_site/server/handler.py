"""GatewayHandler: Django's ASGI handler for the API's paths, without its thread hops.

Replaces: the executor per request and the two hops to it (for the synchronous receivers of
request_started and request_finished, which close database connections this path does not open), the
spooled body, the middleware chain, and the hop that logs each response of 400 and above. Measured at 0.9
ms of CPU a request, and 0.3 ms for each synchronous middleware it does not run
(docs/performance.md, "What changed it").

Keeps: URL resolution and views as Django's, responses beside our own answers; cancellation of the view
when the client leaves, by the server itself where it offers that (disconnect.py); closing of the
response's iterator in every case.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable
from contextlib import aclosing
from typing import Any, Final

from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse
from django.urls import Resolver404, get_resolver

from ccproxy_site.server.api_request import WRITE_THROUGH
from ccproxy_site.server.disconnect import LEAVING
from gateway.api.request import GatewayRequest
from gateway.api.responses import StreamAnswer, WholeReply, error_response
from gateway.conf import gateway_conf
from gateway.errors import GatewayError, InternalError, InvalidRequest, NotFound, RequestTooLarge
from gateway.relay.exchange.ids import new_id
from gateway.relay.streaming.write_through import WritesThrough

logger = logging.getLogger("gateway.server")

# On servers that do not judge a request by its head: this much more of an oversized body is read and
# discarded, because a client that is still sending would see a reset instead of the answer.
EXCESS: Final = 8 * 1024 * 1024
# paths whose view is remembered; long made-up ones get no memory
MOST_PATHS: Final = 256
LONGEST_PATH: Final = 200

# the possible answers of a view
Response = HttpResponse | WholeReply | StreamAnswer


class GatewayHandler(ASGIHandler):
    """The ASGI application for everything except the admin."""

    request_class = GatewayRequest

    def load_middleware(self, is_async: bool = True) -> None:
        """No middleware: authentication and errors are awaited functions of the API itself."""
        self._middleware_chain = self._viewed
        # load now what the first request would otherwise wait for, or fail on
        resolver = get_resolver(GatewayRequest.urlconf)
        resolver.url_patterns  # noqa: B018
        # matching a dozen expressions takes longer than checking a key; clients use few paths
        self._resolved_before = functools.lru_cache(MOST_PATHS)(resolver.resolve)
        self._resolve = resolver.resolve

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            request = GatewayRequest(scope, await self.received_body(receive))
        except RequestAborted:
            return
        except GatewayError as error:
            await self.send_answer(error_response(error, new_id("req_")), send)
            return
        except UnicodeDecodeError:
            problem = InvalidRequest("the request line or a header is not valid text")
            await self.send_answer(error_response(problem, new_id("req_")), send)
            return
        extensions = scope.get("extensions", {})
        direct, told_of_leaving = extensions.get(WRITE_THROUGH), extensions.get(LEAVING)
        viewing = self._viewed(request)
        # a stream may last, and does not need what was sent with its request
        del request, scope, extensions
        if told_of_leaving is not None:
            told_of_leaving()
            del receive, told_of_leaving
            answering = self.send_answer(await viewing, send, direct)
            del viewing, send, direct
            await answering
            return
        work = self._work(viewing, send, direct)
        working = asyncio.create_task(work)
        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _stopped(leaving)
            await _stopped(working)

    async def received_body(self, receive: Any) -> bytes:
        """The whole body. Raises RequestAborted when the client left, RequestTooLarge."""
        limit = gateway_conf().max_body_bytes
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestAborted
            piece = message.get("body", b"")
            size += len(piece)
            if size <= limit:
                pieces.append(piece)
            elif size > limit + EXCESS or not message.get("more_body", False):
                raise RequestTooLarge("Request exceeds the maximum size")
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def send_answer(self, response: Response, send: Any, direct: Any = None) -> None:
        """`direct`: the server's extension WRITE_THROUGH, None where there is none."""
        start = _start(response)
        if not isinstance(response, StreamAnswer):
            body = response.body if isinstance(response, WholeReply) else response.content
            await send(start)
            await send({"type": "http.response.body", "body": body})
            return
        async with aclosing(aiter(response)) as pieces:
            await send(start)
            del start, response
            ended = False
            through: WritesThrough | None = pieces
            async for piece in pieces:
                # a pump knows its last piece, so the end need not be a message of its own
                ended = pieces.ended
                await send({"type": "http.response.body", "body": piece, "more_body": not ended})
                if direct is not None and through is not None:
                    # Headers are sent. From here the pump writes chunks itself; this loop resumes for the
                    # end, an error or a ping.
                    through.write_through(direct)
                    direct = through = None
        if not ended:
            await send({"type": "http.response.body"})

    async def _work(self, viewing: Awaitable[Response], send: Any, direct: Any) -> None:
        await self.send_answer(await viewing, send, direct)

    async def _viewed(self, request: GatewayRequest) -> Response:
        path = request.path_info
        try:
            match = self._resolved_before(path) if len(path) <= LONGEST_PATH else self._resolve(path)
            request.resolver_match = match
            response: Response = await match.func(request, *match.args, **match.kwargs)
        except Resolver404:
            # `*`, and other request targets that are not paths
            return error_response(NotFound("Not Found"), new_id("req_"))
        except Exception:
            # views answer their own errors; this is the last safety net
            logger.exception("unexpected error outside a view", extra={"path": request.path_info})
            return error_response(InternalError(), new_id("req_"))
        return response


def _start(response: Response) -> dict[str, Any]:
    if isinstance(response, HttpResponse):
        headers = [(name.encode("ascii"), value.encode("latin1")) for name, value in response.items()]
        return {"type": "http.response.start", "status": response.status_code, "headers": headers}
    return {"type": "http.response.start", "status": response.status, "headers": response.headers}


async def _stopped(task: asyncio.Task[None]) -> None:
    """Cancel what is still running, wait for it, and log what it raised besides the client's leaving."""
    if not task.done():
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError, RequestAborted):
        try:
            await task
        except (asyncio.CancelledError, RequestAborted):
            raise
        except Exception:
            logger.exception("unexpected error while answering")
