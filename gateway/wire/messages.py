"""The Messages API's own shapes: events of a stream, one constructor each.

Events are plain dictionaries exactly as the API documents them, so tests read
like its documentation. `index` is the block's position in the message, from 0.
See docs/conversion.md, "Events to the client".
"""

from __future__ import annotations

from typing import Any

JSONObject = dict[str, Any]
MessagesRequest = dict[str, Any]
Message = dict[str, Any]
Event = dict[str, Any]
# an event for the client: a value to be serialised, or bytes that pass unchanged
Sent = Event | bytes

PING: Event = {"type": "ping"}
MESSAGE_STOP: Event = {"type": "message_stop"}


def message_start(message: Message) -> Event:
    return {"type": "message_start", "message": message}


def block_start(index: int, block: JSONObject) -> Event:
    return {"type": "content_block_start", "index": index, "content_block": block}


def block_stop(index: int) -> Event:
    return {"type": "content_block_stop", "index": index}


def text_delta(index: int, text: str) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}


def thinking_delta(index: int, thinking: str) -> Event:
    delta = {"type": "thinking_delta", "thinking": thinking}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def signature_delta(index: int, signature: str) -> Event:
    return _delta(index, {"type": "signature_delta", "signature": signature})


def input_json_delta(index: int, partial_json: str) -> Event:
    delta = {"type": "input_json_delta", "partial_json": partial_json}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def citations_delta(index: int, citation: JSONObject) -> Event:
    return _delta(index, {"type": "citations_delta", "citation": citation})


def message_delta(delta: JSONObject, usage: JSONObject, **more: Any) -> Event:
    return {"type": "message_delta", "delta": delta, "usage": usage, **more}


def error_event(body: JSONObject) -> Event:
    """`body` is GatewayError.body(request_id)."""
    return body


def _delta(index: int, delta: JSONObject) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": delta}
