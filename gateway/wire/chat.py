"""The fields of a Chat Completions request as we write it.

Bodies are dictionaries, so fields that only one provider knows (a profile's options name them) may stand
beside these; whoever adds one says so with a cast. Answers and their chunks are untrusted and have no types:
their readers take a `Mapping[str, object]` and look at each value (`wire.lenient`).
"""

from __future__ import annotations

from typing import Literal, NotRequired, Required, TypedDict

from gateway.wire.messages_request import CacheControl


class Breakpoint(TypedDict):
    """Where OpenAI caches a prefix; `ttl`: "12h", or the usual 30 minutes when it is not there."""

    mode: Literal["explicit"]
    ttl: NotRequired[str]


class _Cacheable(TypedDict, total=False):
    """The two ways to mark the end of a cached prefix."""

    cache_control: CacheControl | None
    prompt_cache_breakpoint: Breakpoint


class TextPart(_Cacheable):
    type: Literal["text"]
    text: str


class ImageURL(TypedDict):
    """`url`: an address, or data in base64."""

    url: str


class ImagePart(_Cacheable):
    type: Literal["image_url"]
    image_url: ImageURL


class FileData(TypedDict):
    """`file_data`: an address, or data in base64."""

    filename: str
    file_data: str


class FilePart(_Cacheable):
    type: Literal["file"]
    file: FileData


class DocumentURLPart(_Cacheable):
    """Mistral's form of a document."""

    type: Literal["document_url"]
    document_url: str


class ThinkingPart(TypedDict):
    """Mistral's form of thinking that goes back."""

    type: Literal["thinking"]
    thinking: list[TextPart]


ChatPart = TextPart | ImagePart | FilePart | DocumentURLPart
# of an assistant message
SpokenPart = TextPart | ThinkingPart


class CalledFunction(TypedDict):
    """`arguments`: JSON text."""

    name: str
    arguments: str


class ChatToolCall(TypedDict):
    id: str
    type: Literal["function"]
    function: CalledFunction


SystemRole = Literal["system", "developer"]


class SystemMessage(TypedDict):
    role: SystemRole
    content: str | list[ChatPart]


class UserMessage(TypedDict):
    role: Literal["user"]
    content: str | list[ChatPart]


class AssistantMessage(TypedDict, total=False):
    """`prefix`: the model continues the message."""

    role: Required[Literal["assistant"]]
    content: str | list[SpokenPart] | None
    tool_calls: list[ChatToolCall]
    prefix: bool


class ToolMessage(TypedDict):
    role: Literal["tool"]
    tool_call_id: str
    content: str | list[ChatPart]


ChatMessage = SystemMessage | UserMessage | AssistantMessage | ToolMessage


class ChatFunction(TypedDict):
    """`parameters`: a JSON Schema."""

    name: str
    description: NotRequired[str]
    parameters: NotRequired[dict[str, object]]
    strict: NotRequired[bool]


class FunctionTool(TypedDict):
    type: Literal["function"]
    function: ChatFunction
    cache_control: NotRequired[CacheControl | None]
