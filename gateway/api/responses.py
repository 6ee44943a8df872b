"""Answers as Django responses: JSON, errors in Anthropic's form, event streams, each with request-id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from django.http import HttpResponse, StreamingHttpResponse

from gateway.errors import GatewayError
from gateway.relay.pump import Pump
from gateway.relay.reply import STREAM_HEADERS, Reply, Streamed
from gateway.wire import jsontext

JSON: Final = "application/json"


class EventStreamResponse(StreamingHttpResponse):
    """A stream whose pieces go out as they are.

    Django's own wraps an async iterator in two generators and converts each
    piece; the pump yields finished bytes and is its own iterator. Closing the
    response closes the pump, also when no piece was ever asked for.
    """

    def __init__(self, pump: Pump, **kwargs: Any) -> None:
        self.pump = pump
        super().__init__(pump, **kwargs)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.pump


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
    """Anthropic's error body with its status and headers (specification section 7)."""
    return json_response(error.body(request_id), request_id, status=error.status, headers=error.headers())


def reply_response(reply: Reply, request_id: str) -> HttpResponse | EventStreamResponse:
    if isinstance(reply, Streamed):
        headers = {**reply.headers, **STREAM_HEADERS, "request-id": request_id}
        return EventStreamResponse(reply.pump, headers=headers)
    return body_response(reply.body, request_id, status=reply.status, headers=reply.headers)
