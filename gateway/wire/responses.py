"""The items and tools of a request of the Responses API, as we write it. Its answers are untrusted."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from gateway.wire.chat import Breakpoint


class _Marked(TypedDict, total=False):
    prompt_cache_breakpoint: Breakpoint


class InputText(_Marked):
    type: Literal["input_text"]
    text: str


class InputImage(_Marked):
    """`image_url`: an address, or data in base64."""

    type: Literal["input_image"]
    image_url: str
    detail: Literal["auto"]


class InputFile(_Marked):
    """Either `file_url`, or `filename` and `file_data`."""

    type: Literal["input_file"]
    filename: NotRequired[str]
    file_data: NotRequired[str]
    file_url: NotRequired[str]


InputPart = InputText | InputImage | InputFile


class MessageItem(TypedDict):
    """`content` of the assistant is a text. `phase`: whether the model was still at work."""

    type: Literal["message"]
    role: str
    content: str | list[InputPart]
    phase: NotRequired[Literal["commentary", "final_answer"]]


class FunctionCallItem(TypedDict):
    """`arguments`: JSON text."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str


class FunctionCallOutput(TypedDict):
    type: Literal["function_call_output"]
    call_id: str
    output: str | list[InputPart]


class ReasoningText(TypedDict):
    type: Literal["reasoning_text", "summary_text"]
    text: str


class ReasoningItem(TypedDict):
    """What the provider sent: sealed as `encrypted_content`, or readable as `content`."""

    type: Literal["reasoning"]
    id: NotRequired[str]
    summary: list[ReasoningText]
    content: NotRequired[list[ReasoningText]]
    encrypted_content: NotRequired[str]


class SearchTool(TypedDict):
    """The provider's own web search; `filters` and `user_location` as the client wrote them."""

    type: Literal["web_search"]
    filters: NotRequired[dict[str, object]]
    user_location: NotRequired[dict[str, object]]


class FlatFunction(TypedDict):
    """A function as this API writes it. `parameters`: a JSON Schema."""

    type: Literal["function"]
    name: str
    strict: bool
    description: NotRequired[str]
    parameters: NotRequired[dict[str, object]]


ResponsesTool = FlatFunction | SearchTool


class AdditionalTools(TypedDict):
    """Tools that the model may use from here on."""

    type: Literal["additional_tools"]
    role: Literal["developer"]
    tools: list[ResponsesTool]


Item = MessageItem | FunctionCallItem | FunctionCallOutput | ReasoningItem | AdditionalTools
