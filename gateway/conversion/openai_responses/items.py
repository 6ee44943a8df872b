"""Turns as input items of a Responses request.

Unlike chat, items keep the order of the blocks: what the model said before, between and after calls stays
where it was, and its reasoning precedes what it led to.

See docs/conversion.md, "The Responses API".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.conversion.blocks.chat_parts import text_part
from gateway.conversion.cache_control import BREAKPOINT
from gateway.conversion.provider_state import Payload
from gateway.conversion.request_context import RequestContext
from gateway.conversion.requests.messages.assistant_messages import spoken_text
from gateway.conversion.requests.messages.reasoning_replay import THINKING
from gateway.conversion.requests.messages.system import mid_system_message
from gateway.conversion.requests.messages.turns import Located, ToolAnswer, ToolCall, Turn
from gateway.conversion.requests.messages.user_content import (
    INTERRUPTED,
    in_form,
    result_parts,
    user_parts,
    whole_content,
)
from gateway.conversion.tool_calls.names import upstream_name
from gateway.conversion.tools.exposure import called_name, loaded_by
from gateway.conversion.validation.shape_errors import refuse
from gateway.errors import InvalidRequest
from gateway.wire import jsontext
from gateway.wire.chat import ChatPart, SystemMessage
from gateway.wire.messages import (
    ServerToolUse,
    WebSearchError,
    WebSearchResult,
    WebSearchToolResult,
)
from gateway.wire.responses import (
    FunctionCallItem,
    FunctionCallOutput,
    InputFile,
    InputPart,
    Item,
    MessageItem,
    ReasoningItem,
    ReasoningText,
    ResponsesTool,
)

REASONING: Final = "reasoning"
REASONING_TEXT: Final = "reasoning_text"
ADDITIONAL_TOOLS: Final = "additional_tools"


def input_items(
    turns: list[Turn], context: RequestContext, late: dict[str, ResponsesTool] | None = None
) -> list[Item]:
    """The items of paired turns. Raises InvalidRequest when nothing of the user is left.

    `late`: tools that may be made available where a result names them, by the client's name. Those
    that were are taken out of it.
    """
    items: list[Item] = []
    for index, turn in enumerate(turns):
        if turn.role == "assistant":
            items += _assistant_items(turn, context)
            items += [_call_output(answer, context) for answer in turn.answers]
            items += _loaded_tools(turn, late) if late else []
        elif turn.role == "user":
            answers = index > 0 and bool(turns[index - 1].answers)
            parts = user_parts(turn, context, answers=answers)
            if parts:
                items.append(message_item("user", parts))
        else:
            items.append(system_item(mid_system_message(turn, context)))
    _mark_ends(items, context)
    if not any(item.get("role") == "user" or item["type"] == "function_call_output" for item in items):
        refuse("messages", "at least one message is required")
    return items


def _mark_ends(items: list[Item], context: RequestContext) -> None:
    """Mark what stands in front of each answer, and the end."""
    last: Any = None
    for item in items:
        if _of_model(item):
            context.markers.end(last)
            last = None
        elif item["type"] != ADDITIONAL_TOOLS:
            last = item.get("output") or item.get("content")
    context.markers.end(last)


def _loaded_tools(turn: Turn, late: dict[str, ResponsesTool]) -> list[Item]:
    """The tools that the results of a turn load, behind them: the list in front stays as it was."""
    named = [name for answer in turn.answers if answer.result for name in loaded_by(answer.result.block)]
    tools = [late.pop(name) for name in dict.fromkeys(named) if name in late]
    return [{"type": ADDITIONAL_TOOLS, "role": "developer", "tools": tools}] if tools else []


def _of_model(item: Item) -> bool:
    of_result = item["type"] == "function_call_output"
    return not of_result and item.get("role") in (None, "assistant")


def message_item(role: str, content: str | Sequence[ChatPart]) -> MessageItem:
    """A message of the user or the system; `content` in parts of chat."""
    parts = [text_part(content)] if isinstance(content, str) else content
    return {"type": "message", "role": role, "content": [_input_part(part) for part in parts]}


def system_item(message: SystemMessage) -> MessageItem:
    return message_item(message["role"], message["content"])


def checked_ending(items: list[Item], context: RequestContext) -> str | None:
    """The text of a final assistant message that the model continues, else None.

    Raises InvalidRequest where the model takes none. See docs/conversion.md, "Prefill".
    """
    last = items[-1]
    if last["type"] != "message" or last["role"] != "assistant":
        return None
    if context.profile.prefill == "reject":
        raise InvalidRequest(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    text = last["content"]
    # messages of the model are written as texts (`_assistant_items`)
    assert isinstance(text, str)
    if text != text.rstrip():
        refuse("messages", "final assistant content cannot end with trailing whitespace")
    return text


def _input_part(part: ChatPart) -> InputPart:
    """A part of chat as a part of an input item."""
    match part["type"]:
        case "text":
            made: InputPart = {"type": "input_text", "text": part["text"]}
        case "image_url":
            made = {"type": "input_image", "image_url": part["image_url"]["url"], "detail": "auto"}
        case "file":
            made = _file(part["file"]["file_data"], part["file"]["filename"])
        case _:
            made = _file(part["document_url"], "document.pdf")
    if BREAKPOINT in part:
        made[BREAKPOINT] = part[BREAKPOINT]
    return made


def _file(data: str, name: str) -> InputFile:
    if data.startswith("data:"):
        return {"type": "input_file", "filename": name, "file_data": data}
    return {"type": "input_file", "file_url": data}


def _call_output(answer: ToolAnswer, context: RequestContext) -> FunctionCallOutput:
    content = in_form(INTERRUPTED, context)
    if answer.result is not None:
        content = whole_content(result_parts(answer.result, context), answer.result, context)
    output = content if isinstance(content, str) else [_input_part(part) for part in content]
    return {"type": "function_call_output", "call_id": answer.call.upstream_id, "output": output}


# Assistant turns


def _assistant_items(turn: Turn, context: RequestContext) -> list[Item]:
    items: list[Item] = []
    said: list[Located] = []
    calls = iter(turn.calls)
    reasoning: list[tuple[int, Located]] = []

    def speak() -> None:
        text = spoken_text(said, context)
        if text.strip():
            items.append({"type": "message", "role": "assistant", "content": text})
        said.clear()

    for located in turn.blocks:
        kind = located.block["type"]
        if kind == "tool_use":
            speak()
            items.append(_function_call(next(calls), context.profile.tool_name_format))
        elif kind in THINKING:
            item = _reasoning_item(located, context)
            if item is not None:
                speak()
                reasoning.append((len(items), located))
                items.append(item)
        else:
            said.append(located)
            context.markers.drop(located.block)
    speak()
    while items and items[-1]["type"] == REASONING:
        # the API accepts reasoning only in front of what it led to
        context.notes.add("dropped", reasoning.pop()[1].path, "reasoning with nothing behind it")
        items.pop()
    if context.profile.assistant_phase:
        _name_phases(items)
    return items


def _name_phases(items: list[Item]) -> None:
    """Mark for each message whether the model was still at work."""
    called = False
    for item in reversed(items):
        if item["type"] == "function_call":
            called = True
        elif item["type"] == "message":
            item["phase"] = "commentary" if called else "final_answer"


def _function_call(call: ToolCall, name_format: str) -> FunctionCallItem:
    block = call.located.block
    return {
        "type": "function_call",
        "call_id": call.upstream_id,
        "name": upstream_name(called_name(block), name_format),
        "arguments": jsontext.dumps_text(block["input"]),
    }


def _reasoning_item(located: Located, context: RequestContext) -> ReasoningItem | None:
    """The item that a thinking block brought back; None when this provider and model did not make it."""
    block = located.block
    redacted = block["type"] == "redacted_thinking"
    payload = context.opaque.signature(block.get("data" if redacted else "signature"))
    problem = _problem(payload, context)
    if payload is None or problem:
        context.notes.add("dropped", located.path, problem)
        return None
    text = "" if redacted else _said(payload) or block["thinking"]
    if not payload.get("ec"):
        content: list[ReasoningText] = [{"type": "reasoning_text", "text": text}]
        item: ReasoningItem = {"type": "reasoning", "summary": [], "content": content}
        if payload.get("ri"):
            item["id"] = payload["ri"]
        return item
    summary: list[ReasoningText] = [{"type": "summary_text", "text": text}] if text else []
    return {
        "type": "reasoning",
        "id": payload["ri"],
        "summary": summary,
        "encrypted_content": payload["ec"],
    }


def _said(payload: Payload) -> str:
    """Reasoning whose own text was not shown to the client."""
    return text if isinstance(text := payload.get("t"), str) and not payload.get("ec") else ""


def _problem(payload: Payload | None, context: RequestContext) -> str:
    """Why the payload of a thinking block cannot go back; "" when it can."""
    if payload is None:
        return "thinking without a signature of this gateway"
    stranger = context.stranger(payload)
    if stranger:
        return f"reasoning of {stranger}"
    sealed = _is_text(payload.get("ri")) and _is_text(payload.get("ec"))
    if not sealed and payload.get("f") != REASONING_TEXT:
        return "thinking that the provider cannot take back"
    return ""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def search_blocks(item: Mapping[str, object], block_id: str) -> list[ServerToolUse | WebSearchToolResult]:
    """The call and the result for a web_search_call item; none for a step that is no query.

    The provider names only the addresses it read. Their contents stay with it.
    """
    action = item.get("action")
    action = action if isinstance(action, dict) else {}
    if action.get("type") not in ("search", None):
        return []
    call: ServerToolUse = {
        "type": "server_tool_use",
        "id": block_id,
        "name": "web_search",
        "input": {"query": _query(action)},
    }
    sources = action.get("sources")
    sources = sources if isinstance(sources, list) else []
    content: list[WebSearchResult] | WebSearchError = [
        _result(source) for source in sources if _has_url(source)
    ]
    if item.get("status") == "failed":
        content = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    result: WebSearchToolResult = {
        "type": "web_search_tool_result",
        "tool_use_id": block_id,
        "content": content,
    }
    return [call, result]


def _query(action: Mapping[str, object]) -> str:
    query = action.get("query")
    if isinstance(query, str) and query:
        return query
    queries = action.get("queries")
    return "; ".join(each for each in queries if isinstance(each, str)) if isinstance(queries, list) else ""


def _has_url(source: object) -> bool:
    return isinstance(source, dict) and isinstance(source.get("url"), str)


def _result(source: Mapping[str, Any]) -> WebSearchResult:
    title = source.get("title")
    return {
        "type": "web_search_result",
        "title": title if isinstance(title, str) and title else source["url"],
        "url": source["url"],
        "encrypted_content": "",
        "page_age": None,
    }
