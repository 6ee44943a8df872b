"""GatewayWebRequest: Daphne's request without form parsing, with its body in memory, and JSON errors.

Replaces four things of Twisted's and Daphne's requests: every POST runs the e-mail header parser in search
of a form (0.09 ms and a class left as garbage), bodies of 100,000 bytes or more go through a file on disk,
and requests that never reach the application get error pages in HTML. It also joins what Twisted writes
for one message into one write: head and first body of an answer took two, the end of a stream a third
(0.05 ms a request). The body, which Daphne copies, is not kept a second time while the answer streams.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, cast

from daphne.http_protocol import WebRequest

from ccproxy_site.server.connections.slot import ConnectionSlot
from ccproxy_site.server.error_answer import error_answer
from ccproxy_site.server.transport import AsyncioTransport
from ccproxy_site.server.twisted_seam import request_line
from gateway.api.request import lower_headers
from gateway.errors import GatewayError, InternalError, InvalidRequest, Saturated


class GatewayWebRequest(WebRequest):
    # whether anybody reads the body
    _kept = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # the class attribute of the same name has no effect; only the argument does
        super().__init__(*args, **{**kwargs, "parsePOSTFormSubmission": False})

    def gotLength(self, length: int | None) -> None:  # noqa: N802 (Twisted's name)
        """The head is complete."""
        self.content = BytesIO()
        slot = self._slot
        if slot is not None:
            # a pipelined request comes while the end of the answer before it is still collected
            cast(AsyncioTransport, self.transport).uncork()
            slot.forget = self._forget
            codings = self.requestHeaders.getRawHeaders(b"transfer-encoding", [])
            if codings and [coding.lower() for coding in codings] != [b"chunked"]:
                # Twisted ignores `identity`. A proxy in front may not, and would see other requests.
                slot.refuse(InvalidRequest("transfer-encoding must be chunked"))
                return
            method, target, spoken = request_line(self.channel)
            hosts = len(self.requestHeaders.getRawHeaders(b"host", []))
            if hosts > 1 or (hosts == 0 and spoken != b"HTTP/1.0"):
                # a proxy in front may have chosen where the request goes by the one that we do not take
                slot.refuse(InvalidRequest("an HTTP/1.1 request needs one Host header"))
                return
            path = _origin_form(target)[0]
            headers = lower_headers(
                (name, value) for name, values in self.requestHeaders.getAllRawHeaders() for value in values
            )
            version = "1.0" if spoken == b"HTTP/1.0" else "1.1"
            self._kept = slot.whole_head(
                method, path.partition(b"?")[0], headers, self.client.host, length, version
            )

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 (Twisted's name)
        slot = self._slot
        if slot is not None:
            slot.received(len(data))
        if self._kept:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        slot = self._slot
        if slot is not None:
            if slot.refused:
                # it has its answer already
                return
            slot.answering()
            slot.forget = None
        path, host = _origin_form(path)
        if host:
            # the request line takes precedence over the header (RFC 9112, 3.2.2)
            self.requestHeaders.setRawHeaders(b"host", [host])
        super().requestReceived(command, path, version)

    def finish(self) -> None:
        slot = self._slot
        if slot is not None:
            slot.idle()
        super().finish()

    def _forget(self) -> None:
        """What arrived was refused."""
        self._kept = False
        self.content = BytesIO()

    @property
    def _slot(self) -> ConnectionSlot | None:
        """None on connections that are not ours."""
        transport = self.transport
        return transport.slot if isinstance(transport, AsyncioTransport) else None

    def process(self) -> Any:
        done = super().process()
        content = self.__dict__.get("content")
        if content is not None and not content.closed:
            content.seek(0)
            content.truncate()
        return done

    def handle_reply(self, message: dict[str, Any]) -> None:
        """One message of the application is one write: head and first body, last body and end."""
        transport = self.transport
        if not isinstance(transport, AsyncioTransport):
            super().handle_reply(message)
            return
        transport.cork()
        try:
            super().handle_reply(message)
        finally:
            transport.uncork()

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """Daphne's own errors, in the form that clients of the API expect."""
        number, headers, text = error_answer(_as_error(status, body))
        self.handle_reply({"type": "http.response.start", "status": number, "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": text})


def _as_error(status: int, text: str) -> GatewayError:
    if status == 400:
        return InvalidRequest(text)
    if status == 503:
        return Saturated(text)
    return InternalError()


def _origin_form(target: bytes) -> tuple[bytes, bytes]:
    """A request target as (path with query, host); the host is empty except for an absolute target."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return target, b""
    end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    path = rest[end:]
    return path if path.startswith(b"/") else b"/" + path, rest[:end].rpartition(b"@")[2]
