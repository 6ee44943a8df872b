"""Answers: JSON and errors in Anthropic's form as Django responses, the relay's replies unchanged.

Each has a request-id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.http import HttpResponse

from gateway.errors import GatewayError
from gateway.relay.reply import STREAM_HEADERS, Reply, Streamed
from gateway.relay.streaming.pump import Pump
from gateway.values import frozen
from gateway.wire import jsontext

JSON: Final = "application/json"

# as sent over the wire
Headers = list[tuple[bytes, bytes]]


@frozen
class WholeReply:
    """An answer in one piece, as the server takes it. The frequent answers bypass Django's response
    class, which would process each header three times (10 microseconds).
    """

    status: int
    headers: Headers
    body: bytes


class StreamAnswer:
    """The same for a stream: an iterable of finished bytes, namely the pump itself.

    Closing its iterator closes the pump, even when no piece was requested.
    """

    __slots__ = ("headers", "pump", "status")

    def __init__(self, headers: Headers, pump: Pump) -> None:
        self.status = 200
        self.headers = headers
        self.pump = pump

    def __aiter__(self) -> Pump:
        return self.pump


Answer = WholeReply | StreamAnswer


def json_response(
    value: Any, request_id: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    return body_response(jsontext.dumps(value), request_id, status=status, headers=headers)


def body_response(
    body: bytes, request_id: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    return HttpResponse(
        body,
        status=status,
        headers={
            "content-type": JSON,
            "request-id": request_id,
            "content-length": str(len(body)),
            **(headers or {}),
        },
    )


def error_response(error: GatewayError, request_id: str) -> HttpResponse:
    """Anthropic's error body with its status and headers (docs/conversion.md, "Errors")."""
    return json_response(error.body(request_id), request_id, status=error.status, headers=error.headers())


def reply_answer(reply: Reply, request_id: str) -> Answer:
    """The relay's reply with our headers; a content type among its own takes precedence."""
    if isinstance(reply, Streamed):
        return StreamAnswer(_pairs({**reply.headers, **STREAM_HEADERS, "request-id": request_id}), reply.pump)
    headers = {"content-type": JSON, "request-id": request_id, "content-length": str(len(reply.body))}
    return WholeReply(reply.status, _pairs({**headers, **reply.headers}), reply.body)


def _pairs(headers: Mapping[str, str]) -> Headers:
    return [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in headers.items()]
