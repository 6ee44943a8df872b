"""Answers from the server itself, for requests that never reach the application."""

from __future__ import annotations

import http
from typing import Final

from gateway.errors import GatewayError
from gateway.relay.exchange.ids import new_id
from gateway.wire import jsontext

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}


def status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def error_answer(error: GatewayError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of one of the server's own errors, with a request id."""
    request_id = new_id("req_")
    text = jsontext.dumps(error.body(request_id))
    headers = {
        "content-type": "application/json",
        "content-length": str(len(text)),
        "request-id": request_id,
        **error.headers(),
    }
    return error.status, [(name.encode(), value.encode()) for name, value in headers.items()], text


def whole_error(error: GatewayError) -> bytes:
    """The same as bytes, for an answer after which the connection ends."""
    status, headers, body = error_answer(error)
    lines = [b"%b: %b\r\n" % pair for pair in [*headers, (b"connection", b"close")]]
    return b"".join([status_line(status), *lines, b"\r\n", body])
