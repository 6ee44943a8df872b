"""Answers of the Messages API for the fake provider."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes.provider import Answer

USAGE = {"input_tokens": 20, "cache_read_input_tokens": 4, "output_tokens": 7}
SSE = {
    "content-type": "text/event-stream; charset=utf-8",
    "request-id": "req_up",
    "anthropic-ratelimit-requests-remaining": "9",
    "anthropic-organization-id": "org-1",
    "cf-ray": "x",
}
JSON = {**SSE, "content-type": "application/json"}
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields})
    return f"event: {kind}\ndata: {data}\n\n".encode()


def message(*content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": "msg_up",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": list(content) or [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
        **fields,
    }


def whole(*content: dict[str, Any], **fields: Any) -> Answer:
    return Answer(headers=JSON, body=json.dumps(message(*content, **fields)).encode())


def started() -> bytes:
    begun = message(content=[], stop_reason=None, usage={**USAGE, "output_tokens": 1})
    return event("message_start", message=begun)


def text_events(*texts: str) -> list[bytes]:
    block = {"type": "text", "text": ""}
    return [
        event("content_block_start", index=0, content_block=block),
        *(
            event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
            for text in texts
        ),
        event("content_block_stop", index=0),
    ]


ENDING = [
    event(
        "message_delta",
        delta={"stop_reason": "end_turn", "stop_sequence": None},
        usage={"output_tokens": 7},
    ),
    event("message_stop"),
]


def told(*pieces: Any) -> Answer:
    """A stream of these pieces behind its start; a short text when none are given."""
    body = list(pieces) or [PING, *text_events("Hel", "lo"), *ENDING]
    return Answer(headers=SSE, pieces=[started(), *body])


def error(status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> Answer:
    body = {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_up"}
    return Answer(status, {"content-type": "application/json", **(headers or {})}, json.dumps(body).encode())
