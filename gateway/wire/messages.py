"""The Messages API's own shapes: events of a stream, one constructor each.

Events are plain dictionaries exactly as the API documents them, so tests read
like its documentation. `index` is the block's position in the message, from 0.
See docs/conversion.md, "Events to the client".
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict, cast

# any JSON object: a tool's schema or arguments, or one of which only some fields are known
JSONObject = dict[str, Any]


class Citation(TypedDict):
    """Where a text comes from: a result of a web search. `cited_text` and `title` may be empty or None."""

    type: Literal["web_search_result_location"]
    cited_text: str
    encrypted_index: str
    title: str | None
    url: str


class TextContent(TypedDict):
    type: Literal["text"]
    text: str
    citations: NotRequired[list[Citation]]


class ThinkingContent(TypedDict):
    """`signature`: what the client brings back with the block."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class ToolUse(TypedDict):
    """A call of a tool of the client. `caller` and `toolset_name` are there for Anthropic's toolsets."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: JSONObject
    toolset_name: NotRequired[str]
    caller: NotRequired[dict[str, str]]


class ServerToolUse(TypedDict):
    """A call that somebody else than the client has made already."""

    type: Literal["server_tool_use"]
    id: str
    name: str
    input: JSONObject


class WebSearchResult(TypedDict):
    type: Literal["web_search_result"]
    title: str
    url: str
    encrypted_content: str
    page_age: str | None


class WebSearchError(TypedDict):
    type: Literal["web_search_tool_result_error"]
    error_code: str


class WebSearchToolResult(TypedDict):
    """`tool_use_id`: that of the ServerToolUse before it."""

    type: Literal["web_search_tool_result"]
    tool_use_id: str
    content: list[WebSearchResult] | WebSearchError


# what an answer consists of; blocks of a provider that speaks the API itself pass, whatever they are
ContentBlock = TextContent | ThinkingContent | ToolUse | ServerToolUse | WebSearchToolResult


class CacheCreation(TypedDict):
    """Tokens written to the cache, by how long they stay there."""

    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class ThinkingTokens(TypedDict):
    thinking_tokens: int


class ServerToolCounts(TypedDict):
    web_search_requests: int
    web_fetch_requests: int


class MessageUsage(TypedDict):
    """Counts in tokens. The three inputs are disjoint. None: nothing of the kind."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens_details: NotRequired[ThinkingTokens]
    cache_creation: NotRequired[CacheCreation | None]
    server_tool_use: NotRequired[ServerToolCounts | None]
    service_tier: NotRequired[str]
    inference_geo: NotRequired[str | None]
    speed: NotRequired[str | None]


class StopDetails(TypedDict):
    """Why an answer was refused."""

    type: Literal["refusal"]
    category: str | None
    explanation: str | None


class ContextEdits(TypedDict):
    applied_edits: list[JSONObject]


class CacheMissReason(TypedDict):
    """`type`: what changed since the message before, or why nobody can say."""

    type: str
    cache_missed_input_tokens: NotRequired[int]


class Diagnostics(TypedDict):
    """What keeps a request from reading its predecessor's cache."""

    cache_miss_reason: CacheMissReason


class Message(TypedDict):
    """A whole answer. `safeguard_results`: verdicts on its calls (client_protocol/safeguards.py)."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[ContentBlock]
    stop_reason: str | None
    stop_sequence: str | None
    stop_details: StopDetails | None
    usage: MessageUsage
    container: None
    context_management: NotRequired[ContextEdits]
    diagnostics: NotRequired[Diagnostics | None]
    safeguard_results: NotRequired[list[JSONObject]]


class MessageEnd(TypedDict):
    """What message_delta changes in the message."""

    stop_reason: str | None
    stop_sequence: str | None
    stop_details: NotRequired[StopDetails | None]
    safeguard_results: NotRequired[list[JSONObject]]


class MessageStart(TypedDict):
    """`message`: the message without content."""

    type: Literal["message_start"]
    message: Message


class BlockStart(TypedDict):
    """`content_block`: the block without what comes in deltas."""

    type: Literal["content_block_start"]
    index: int
    content_block: ContentBlock


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
    citation: Citation


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
    delta: MessageEnd
    usage: MessageUsage
    context_management: NotRequired[ContextEdits]


class MessageStop(TypedDict):
    type: Literal["message_stop"]


class Ping(TypedDict):
    type: Literal["ping"]


class ErrorDetail(TypedDict):
    """`details`: what a client may act on, by the kind of the error."""

    type: str
    message: str
    details: NotRequired[JSONObject]


class ErrorEvent(TypedDict):
    type: Literal["error"]
    error: ErrorDetail
    request_id: NotRequired[str]


Event = MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop | Ping | ErrorEvent
# an event for the client: a value to be serialised, or bytes that pass unchanged
Sent = Event | bytes

PING: Ping = {"type": "ping"}
MESSAGE_STOP: MessageStop = {"type": "message_stop"}


def message_start(message: Message) -> MessageStart:
    return {"type": "message_start", "message": message}


def block_start(index: int, block: ContentBlock) -> BlockStart:
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


def citations_delta(index: int, citation: Citation) -> BlockDelta:
    delta: CitationsDelta = {"type": "citations_delta", "citation": citation}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def message_delta(delta: MessageEnd, usage: MessageUsage) -> MessageDelta:
    return {"type": "message_delta", "delta": delta, "usage": usage}


def error_event(body: JSONObject) -> ErrorEvent:
    """`body` is GatewayError.body(request_id)."""
    return cast(ErrorEvent, body)
