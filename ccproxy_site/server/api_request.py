"""ApiRequest: one request on an ApiConnection, and the ASGI application that answers it.

The counterpart of Daphne's WebRequest: it is among the server's connections while it is answered, so that
a stop waits for it, and it turns messages into bytes. Head and first body are one write, as are last body
and end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from ccproxy_site.server.disconnect import LEAVING
from ccproxy_site.server.error_answer import error_answer, status_line
from gateway.errors import InternalError

if TYPE_CHECKING:
    from ccproxy_site.server.api_connection import ApiConnection

logger = logging.getLogger("gateway.server")

# the ASGI extension by which a view writes pieces of a body past the messages, in the callback that brought
# them; a request with a body of unknown length is Daphne's and does not have it
WRITE_THROUGH: Final = "ccproxy.direct_body"
_WITHOUT_BODY: Final = frozenset({204, 304})


class ApiRequest:
    """It implements the extensions: a body that is written directly, and notice of the client's leaving."""

    __slots__ = (
        "_body",
        "_cancels",
        "_chunked",
        "_closing",
        "_connection",
        "_finished",
        "_gone",
        "_head",
        "_left",
        "_server",
        "_started_at",
        "_task",
        "_transport",
    )

    def __init__(self, connection: ApiConnection, server: Any) -> None:
        self._connection = connection
        self._transport = connection.transport
        self._server = server
        self._body: bytes | None = None
        self._closing = self._cancels = False
        self._gone = self._chunked = self._finished = False
        # the head of the answer until it is written; None before it is known
        self._head: bytes | None = None
        self._left: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._started_at = time.time()

    def begin(self, scope: dict[str, Any], body: bytes, *, closing: bool) -> None:
        """Run the application. `closing`: the connection ends with the answer."""
        self._body, self._closing = body, closing
        scope["extensions"] = {WRITE_THROUGH: self, LEAVING: self._cancel_when_left}
        self._server.protocol_connected(self)
        self._task = asyncio.get_running_loop().create_task(self._answered(scope))
        self._server.connections[self]["application_instance"] = self._task

    # --- the connection's side --------------------------------------------------------

    def left(self) -> None:
        """The client is gone."""
        self._gone = True
        if self._left is not None and not self._left.done():
            self._left.set_result(None)
        if self._cancels and self._task is not None:
            self._task.cancel()

    # --- Daphne's server's side ---------------------------------------------------------

    def check_timeouts(self) -> None:
        """Called from time to time; Daphne's option for the longest answer, which is off unless set."""
        longest = self._server.http_timeout
        if longest and time.time() - self._started_at > longest:
            self._failed()

    # --- the extension ----------------------------------------------------------------------

    @property
    def held_back(self) -> bool:
        """The client is not reading: send messages instead, which wait for it."""
        return self._connection.held_back

    def write(self, piece: bytes) -> None:
        """The next piece of the body, not empty. Does nothing when the client is gone."""
        if not self._gone:
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)

    # --- ASGI -------------------------------------------------------------------------------

    async def _answered(self, scope: dict[str, Any]) -> None:
        try:
            answering = self._server.application(scope, self._receive, self._send)
            # while the answer streams, nobody needs what was sent with the request
            del scope
            await answering
        except Exception:
            logger.exception("unexpected error while answering")
        finally:
            self._server.connections.pop(self, None)
            if not self._finished:
                self._failed()

    async def _receive(self) -> dict[str, Any]:
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        if not (self._gone or self._finished):
            self._left = asyncio.get_running_loop().create_future()
            await self._left
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if self._finished or self._gone:
            return
        if message["type"] == "http.response.start":
            self._head = self._head_of(message["status"], message["headers"])
            return
        piece, last = message.get("body", b""), not message.get("more_body", False)
        if self._chunked:
            # an empty chunk would end the body
            piece = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
            piece = piece + b"0\r\n\r\n" if last else piece
        if self._head:
            piece, self._head = self._head + piece, b""
        if piece:
            self._transport.write(piece)
        if last:
            self._finish()
        elif self._connection.held_back:
            await self._connection.drained()

    def _head_of(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        lines = [status_line(status)]
        sized = status in _WITHOUT_BODY
        for name, value in headers:
            if name == b"content-length":
                sized = True
            if b"\n" in value or b"\r" in value:
                value = b" ".join(value.splitlines())
            lines.append(b"%b: %b\r\n" % (name, value))
        self._chunked = not sized
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        if self._server.server_name:
            lines.append(b"server: %b\r\n" % self._server.server_name.encode())
        lines.append(b"connection: close\r\n\r\n" if self._closing else b"\r\n")
        return b"".join(lines)

    def _finish(self) -> None:
        self._finished = True
        if self._left is not None and not self._left.done():
            self._left.set_result(None)
        self._connection.answered()

    def _failed(self) -> None:
        """The application ended without an answer, or in the middle of one."""
        self._finished = True
        if self._gone:
            return
        if self._head is None:
            status, headers, body = error_answer(InternalError())
            self._closing = True
            self._transport.write(self._head_of(status, headers) + body)
            self._connection.close()
        else:
            # the client must not take it for complete
            self._transport.abort()

    def _cancel_when_left(self) -> None:
        """Cancel the application's task when the client leaves, or has left."""
        self._cancels = True
        if self._gone and self._task is not None:
            self._task.cancel()
