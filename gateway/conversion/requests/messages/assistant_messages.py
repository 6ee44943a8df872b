"""Assistant turns as assistant messages.

See docs/conversion.md, "Blocks of the assistant" and "Ids of calls".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from gateway.conversion.block_kinds import becoming
from gateway.conversion.blocks.chat_parts import PARAGRAPH, text_part
from gateway.conversion.cache_control import is_marked
from gateway.conversion.request_context import RequestContext
from gateway.conversion.requests.messages.reasoning_replay import replayed
from gateway.conversion.requests.messages.server_results import server_text
from gateway.conversion.requests.messages.turns import Located, ToolCall, Turn
from gateway.conversion.tool_calls.names import upstream_name
from gateway.conversion.tools.exposure import called_name
from gateway.wire import jsontext
from gateway.wire.chat import AssistantMessage, ChatToolCall, SpokenPart, ThinkingPart

_NOT_TEXT: Final = becoming("call", "reasoning")


def assistant_message(turn: Turn, context: RequestContext, *, in_scope: bool) -> AssistantMessage | None:
    """The assistant message of a turn; None when nothing of it is left.

    `in_scope`: its thinking may go back upstream.
    """
    thinking = replayed(turn, context, in_scope=in_scope)
    content = _content(turn, context, thinking.thinking_text)
    if content is None and not turn.calls:
        if not thinking.fields:
            return None
        content = ""  # its thinking goes back, and keeps the users around it apart
    # the names of the fields of thinking are the provider's
    message = cast(AssistantMessage, {"role": "assistant", "content": content, **thinking.fields})
    if content is None and context.profile.call_content == "empty":
        message["content"] = ""
    elif content is None and context.profile.call_content == "omit":
        del message["content"]
    if turn.calls:
        message["tool_calls"] = _tool_calls(turn.calls, context)
    return message


def spoken_text(blocks: Iterable[Located], context: RequestContext) -> str:
    """The text of blocks of a turn: those of one message without separator, everything else as paragraphs."""
    paragraphs: list[str] = []
    previous: Located | None = None
    for located in blocks:
        kind = located.block["type"]
        if kind in _NOT_TEXT:
            continue
        if kind == "text":
            text = located.block["text"]
        else:
            read = server_text(located.block, context.profile.tool_name_format)
            if read is None:
                context.notes.add("dropped", located.path, f"no way to send a block of type {kind}")
                continue
            text = read
            context.notes.add("replaced", located.path, f"{kind} sent as text")
        if not text:
            continue
        if previous is not None and _continues(previous, located):
            paragraphs[-1] += text
        else:
            paragraphs.append(text)
        previous = located
    return PARAGRAPH.join(paragraphs)


def _continues(previous: Located, located: Located) -> bool:
    return previous.message == located.message and previous.block["type"] == "text" == located.block["type"]


def _content(turn: Turn, context: RequestContext, thinking_text: str | None) -> str | list[SpokenPart] | None:
    text = spoken_text(turn.blocks, context)
    # some providers refuse blank content, and blank text tells a model nothing
    part = text_part(text) if text.strip() else None
    for located in turn.blocks:
        if located.block["type"] == "text" and part is not None:
            context.markers.keep(part, located.block)
        else:
            context.markers.drop(located.block)
    if thinking_text is not None:
        thinking: ThinkingPart = {"type": "thinking", "thinking": [text_part(thinking_text)]}
        return [thinking, part] if part else [thinking]
    if part is None:
        return None
    return [part] if is_marked(part) else text


def _tool_calls(calls: list[ToolCall], context: RequestContext) -> list[ChatToolCall]:
    tool_calls = [_tool_call(call, context.profile.tool_name_format) for call in calls]
    wanted = context.profile.tool_call_extras
    if not wanted:
        return tool_calls
    # fields that only this provider knows
    open_calls = cast(list[dict[str, object]], tool_calls)
    for call, tool_call in zip(calls, open_calls, strict=True):
        tool_call.update(_carried(call, context))
    for name, sentinel in wanted.items():
        if sentinel is not None and not any(name in tool_call for tool_call in open_calls):
            open_calls[0][name] = sentinel
            context.notes.add("defaulted", calls[0].located.path, f"{name} is missing: a stand-in was sent")
    return tool_calls


def _tool_call(call: ToolCall, name_format: str) -> ChatToolCall:
    block = call.located.block
    return {
        "id": call.upstream_id,
        "type": "function",
        "function": {
            "name": upstream_name(called_name(block), name_format),
            "arguments": jsontext.dumps_text(block["input"]),
        },
    }


def _carried(call: ToolCall, context: RequestContext) -> dict[str, object]:
    """The opaque data that the id brought back, as far as this provider made it and wants it."""
    plain, payload = context.opaque.call_id(call.located.block["id"])
    if plain == call.located.block["id"]:
        return {}
    if payload is not None and "x" not in payload:
        return {}  # it carries only the provider's id
    carried = None if payload is None else payload.get("x")
    if payload is None or not isinstance(carried, dict):
        context.notes.add("dropped", call.located.path, f"opaque tool call data {context.opaque.reason}")
        return {}
    stranger = context.stranger(payload)
    if stranger:
        context.notes.add("dropped", call.located.path, f"opaque tool call data of {stranger}")
        return {}
    return {name: carried[name] for name in context.profile.tool_call_extras if name in carried}
