"""The fields of a request of the Messages API and of count_tokens.

The parsed body is passed on as it is: a dictionary that may have more fields than these, whatever the API
adds next. The types hold once `conversion.validation` has checked the request; before that only `model` is
known to be a string (`relay.answer.parsed`), and who reads more takes a `Mapping[str, object]` and looks.
What a tool, a choice or a schema may be is checked where it is converted; until then it is an `object`.
See docs/conversion.md, "Fields of the request".
"""

from __future__ import annotations

from typing import Any, Literal, Required, TypedDict

from gateway.wire.messages import JSONObject


class CacheControl(TypedDict, total=False):
    """`ttl`: "5m" if it is not there, or "1h"."""

    type: Required[Literal["ephemeral"]]
    ttl: Literal["5m", "1h"] | None


class Metadata(TypedDict, total=False):
    user_id: str | None


class ThinkingSettings(TypedDict, total=False):
    """`type`: enabled, adaptive, between_tools or disabled. `budget_tokens` counts where it is enabled."""

    type: Required[str]
    budget_tokens: int | None
    display: str | None


class OutputConfig(TypedDict, total=False):
    """`effort`: low to max. `format`: the JSON Schema of the answer, not checked yet."""

    effort: str | None
    format: object
    task_budget: object


class RequestBlock(TypedDict, total=False):
    """A content block of any kind (conversion/block_kinds.py); which fields it has depends on the kind.

    `content` and `source` have a form of their own in each kind; blocks of Anthropic's servers are not
    checked, so whoever converts them looks first.
    """

    type: Required[str]
    text: str
    thinking: str
    signature: object
    id: str
    name: str
    input: JSONObject
    toolset_name: str
    tool_use_id: str
    tool_name: str
    is_error: bool | None
    title: str
    context: str
    citations: object
    transformations: object
    content: Any
    source: Any
    cache_control: CacheControl | None


class RequestMessage(TypedDict, total=False):
    """`content`: a string, or blocks, each an object with a known `type`.

    Only a system message may have no content, and only beside an `output_config`.
    """

    role: Required[Literal["user", "assistant", "system"]]
    content: Required[str | list[RequestBlock]]
    clear_at: object
    output_config: OutputConfig | None


class SystemBlock(TypedDict, total=False):
    type: Required[Literal["text"]]
    text: Required[str]
    cache_control: CacheControl | None


System = str | list[SystemBlock] | None


class MessagesRequest(TypedDict, total=False):
    """A request for a message; without `max_tokens` one for count_tokens. None stands for a missing field."""

    model: Required[str]
    messages: Required[list[RequestMessage]]
    max_tokens: int
    system: System
    stream: bool | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    stop_sequences: list[str] | None
    thinking: ThinkingSettings | None
    output_config: OutputConfig | None
    output_format: object
    metadata: Metadata | None
    service_tier: object
    speed: object
    cache_control: CacheControl | None
    context_management: object
    tools: object
    tool_choice: object
    mcp_servers: list[object] | None
    thread: object
    compaction: object
    container: object
    safeguards: object


class KeptContext(TypedDict):
    """How many tokens there were before edits of the context; we make none."""

    original_input_tokens: int


class CountedTokens(TypedDict, total=False):
    """The answer of count_tokens. `context_management` is there when the request named some."""

    input_tokens: Required[int]
    context_management: KeptContext
