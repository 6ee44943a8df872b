"""The Messages API's own shapes: events of a stream, one constructor each.

Events are plain dictionaries exactly as the API documents them, so tests read
like its documentation. `index` is the block's position in the message, from 0.
See docs/conversion.md, "Events to the client".
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict, cast

JSONObject = dict[str, Any]
MessagesRequest = dict[str, Any]
Message = dict[str, Any]


class MessageStart(TypedDict):
    """`message`: the message without content."""

    type: Literal["message_start"]
    message: Message


class BlockStart(TypedDict):
    """`content_block`: the block without what comes in deltas."""

    type: Literal["content_block_start"]
    index: int
    content_block: JSONObject


class TextDelta(TypedDict):
    type: Literal["text_delta"]
    text: str


class ThinkingDelta(TypedDict):
    type: Literal["thinking_delta"]
    thinking: str


class SignatureDelta(TypedDict):
    """`signature` comes whole, as the last delta of its block."""

    type: Literal["signature_delta"]
    signature: str


class InputJSONDelta(TypedDict):
    """`partial_json`: more of the text of a call's arguments."""

    type: Literal["input_json_delta"]
    partial_json: str


class CitationsDelta(TypedDict):
    type: Literal["citations_delta"]
    citation: JSONObject


Delta = TextDelta | ThinkingDelta | SignatureDelta | InputJSONDelta | CitationsDelta


class BlockDelta(TypedDict):
    type: Literal["content_block_delta"]
    index: int
    delta: Delta


class BlockStop(TypedDict):
    type: Literal["content_block_stop"]
    index: int


class MessageDelta(TypedDict):
    """`usage`: the counts at the end."""

    type: Literal["message_delta"]
    delta: JSONObject
    usage: JSONObject
    context_management: NotRequired[JSONObject | None]


class MessageStop(TypedDict):
    type: Literal["message_stop"]


class Ping(TypedDict):
    type: Literal["ping"]


class ErrorEvent(TypedDict):
    """`error`: its type and message."""

    type: Literal["error"]
    error: JSONObject
    request_id: NotRequired[str]


Event = MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop | Ping | ErrorEvent
# an event for the client: a value to be serialised, or bytes that pass unchanged
Sent = Event | bytes

PING: Ping = {"type": "ping"}
MESSAGE_STOP: MessageStop = {"type": "message_stop"}


def message_start(message: Message) -> MessageStart:
    return {"type": "message_start", "message": message}


def block_start(index: int, block: JSONObject) -> BlockStart:
    return {"type": "content_block_start", "index": index, "content_block": block}


def block_stop(index: int) -> BlockStop:
    return {"type": "content_block_stop", "index": index}


def text_delta(index: int, text: str) -> BlockDelta:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}


def thinking_delta(index: int, thinking: str) -> BlockDelta:
    delta: ThinkingDelta = {"type": "thinking_delta", "thinking": thinking}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def signature_delta(index: int, signature: str) -> BlockDelta:
    delta: SignatureDelta = {"type": "signature_delta", "signature": signature}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def input_json_delta(index: int, partial_json: str) -> BlockDelta:
    delta: InputJSONDelta = {"type": "input_json_delta", "partial_json": partial_json}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def citations_delta(index: int, citation: JSONObject) -> BlockDelta:
    delta: CitationsDelta = {"type": "citations_delta", "citation": citation}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def message_delta(delta: JSONObject, usage: JSONObject) -> MessageDelta:
    return {"type": "message_delta", "delta": delta, "usage": usage}


def error_event(body: JSONObject) -> ErrorEvent:
    """`body` is GatewayError.body(request_id)."""
    return cast(ErrorEvent, body)
