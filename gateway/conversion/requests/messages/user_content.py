"""What users and tools say: their blocks as parts, tool results as tool messages.

See docs/conversion.md, "Blocks of users" and "Tool results".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gateway.conversion.blocks.chat_parts import joined, text_only, text_part
from gateway.conversion.blocks.documents import document, search_result
from gateway.conversion.blocks.images import image
from gateway.conversion.request_context import RequestContext
from gateway.conversion.requests.messages.turns import Located, ToolAnswer, Turn
from gateway.conversion.tool_calls.call_ids import plain_id
from gateway.conversion.tool_calls.names import upstream_name
from gateway.wire import jsontext
from gateway.wire.chat import ChatPart, TextPart, ToolMessage
from gateway.wire.messages_request import RequestBlock


def block_parts(block: RequestBlock, path: str, context: RequestContext) -> list[ChatPart]:
    """The parts of one checked block, the last of them carrying its cache marker.

    Any block but `tool_result` that a user message or a tool result may hold.
    Raises InvalidRequest for documents the provider does not take.
    """
    parts = _parts(block, path, context)
    if parts:
        context.markers.put(parts[-1], block)
    return parts


def _parts(block: RequestBlock, path: str, context: RequestContext) -> list[ChatPart]:
    converter = _CONVERTERS.get(block["type"])
    if converter is None:
        context.notes.add("dropped", path, f"no way to send a block of type {block['type']}")
        return []
    return converter(block, path, context)


def _text(block: RequestBlock, _path: str, _context: RequestContext) -> list[ChatPart]:
    return [text_part(block["text"])] if block["text"] else []


def _image(block: RequestBlock, path: str, context: RequestContext) -> list[ChatPart]:
    return [image(block, path, context)]


def _search_result(block: RequestBlock, path: str, context: RequestContext) -> list[ChatPart]:
    return [search_result(block, path, context)]


def _compaction(block: RequestBlock, _path: str, _context: RequestContext) -> list[ChatPart]:
    return [text_part(f"<conversation_summary>\n{block['content']}\n</conversation_summary>")]


def _tool_reference(block: RequestBlock, _path: str, context: RequestContext) -> list[ChatPart]:
    name = upstream_name(block["tool_name"], context.profile.tool_name_format)
    return [text_part(f"Tool available: {name}")]


def _browser_state(block: RequestBlock, path: str, context: RequestContext) -> list[ChatPart]:
    context.notes.add("replaced", path, "browser state sent as text")
    names = ("tabs", "state_changes")
    state = {name: value for name in names if (value := block.get(name)) is not None}
    return [text_part(f"[browser state] {jsontext.dumps_text(state)}")]


_Converter = Callable[[RequestBlock, str, RequestContext], list[ChatPart]]
# of each kind that becomes parts (block_kinds.py)
_CONVERTERS: Final[dict[str, _Converter]] = {
    "text": _text,
    "image": _image,
    "document": document,
    "search_result": _search_result,
    "compaction": _compaction,
    "tool_reference": _tool_reference,
    "browser_state": _browser_state,
}


NO_OUTPUT: Final = "(no output)"
INTERRUPTED: Final = "[no result: the tool call was interrupted]"
_ERROR: Final = "ERROR: "
_ALREADY_ERROR: Final = ("error", "<tool_use_error>")
_WORD: Final = {"image_url": "image", "file": "document", "document_url": "document"}


class HoistedParts:
    """Attachments of tool results on their way into the next user message."""

    __slots__ = ("_count", "_parts")

    def __init__(self) -> None:
        self._parts: list[ChatPart] = []
        self._count = 0

    def add(self, part: ChatPart, tool_call_id: str) -> TextPart:
        """Take the part; returns the marker that stays in its place."""
        self._count += 1
        label = f"{_WORD[part['type']]} #{self._count}"
        self._parts += [text_part(f"[{label} from tool result {tool_call_id}]"), part]
        return text_part(f"[{label}: attached in the next user message]")

    def taken(self) -> list[ChatPart]:
        """All parts taken so far; counting starts again."""
        parts, self._parts, self._count = self._parts, [], 0
        return parts


def tool_message(answer: ToolAnswer, hoisted: HoistedParts, context: RequestContext) -> ToolMessage:
    """The tool message that answers one call; attachments go to `hoisted`."""
    if answer.result is None:
        content = in_form(INTERRUPTED, context)
    else:
        content = _content(answer.result, answer.call.upstream_id, hoisted, context)
    return {"role": "tool", "tool_call_id": answer.call.upstream_id, "content": content}


def in_form(text: str, context: RequestContext) -> str | list[ChatPart]:
    """A text as the content of a tool message."""
    return [text_part(text)] if context.markers.in_lists else text


def user_parts(turn: Turn, context: RequestContext, *, answers: bool) -> list[ChatPart]:
    """The parts of a user turn whose results were paired; what answers no call stays in it as text.

    `answers`: it came with results. Blank texts stay only where they are all that was said: some providers
    refuse them, and with them the whole conversation.
    """
    parts: list[ChatPart] = []
    for located in turn.blocks:
        if located.block["type"] == "tool_result":
            parts += _orphan_parts(located, context)
        else:
            parts += block_parts(located.block, located.path, context)
    said = [part for part in parts if _says_something(part)]
    return said if said or answers else parts


def _says_something(part: ChatPart) -> bool:
    return part["type"] != "text" or bool(part["text"].strip())


def _orphan_parts(result: Located, context: RequestContext) -> list[ChatPart]:
    """A result that answers no call, as parts of a user message.

    See docs/conversion.md, "Calls without results".
    """
    parts = result_parts(result, context)
    heading = f"[tool result for {plain_id(result.block['tool_use_id'])}]\n"
    if parts and parts[0]["type"] == "text":
        first: TextPart = {**parts[0], "text": heading + parts[0]["text"]}
        return [first, *parts[1:]]
    return [text_part(heading + ("" if parts else NO_OUTPUT)), *parts]


def result_parts(result: Located, context: RequestContext) -> list[ChatPart]:
    """The parts of a result's content, marked as an error where it is one."""
    content: Any = result.block.get("content")
    parts: list[ChatPart] = []
    if not content:
        pass
    elif isinstance(content, str):
        parts = [] if content.isspace() else [text_part(content)]
    else:
        parts = [
            part
            for position, block in enumerate(content)
            for part in block_parts(block, f"{result.path}.content.{position}", context)
        ]
    if result.block.get("is_error"):
        _show_error(parts)
    return parts


def _content(
    result: Located, upstream_id: str, hoisted: HoistedParts, context: RequestContext
) -> str | list[ChatPart]:
    parts = result_parts(result, context)
    for position, part in enumerate(parts):
        if part["type"] == "text" or (part["type"] == "image_url" and _inline(context)):
            continue
        context.notes.add(
            "moved", result.path, f"{_WORD[part['type']]} of a tool result sent in a user message"
        )
        parts[position] = hoisted.add(part, upstream_id)
    return whole_content(parts, result, context)


def whole_content(parts: list[ChatPart], result: Located, context: RequestContext) -> str | list[ChatPart]:
    """The parts of a result with its cache marker; one string where they are texts without markers."""
    only_texts = text_only(parts)
    if context.markers.in_lists or not only_texts:
        # some providers refuse blank texts
        parts = [part for part in parts if _says_something(part)]
    if not parts:
        parts = [text_part(NO_OUTPUT)]
    if not context.markers.in_lists and text_only(parts):
        text = joined(parts)
        # some providers refuse a text of blanks, and with it the whole conversation
        whole = text_part(NO_OUTPUT if not text or text.isspace() else text)
        context.markers.put(whole, result.block)
        return whole["text"]
    # images inline, or parts that may carry markers
    context.markers.put(parts[-1], result.block)
    return parts


def _inline(context: RequestContext) -> bool:
    return context.profile.tool_result_images == "inline"


def _show_error(parts: list[ChatPart]) -> None:
    if parts and parts[0]["type"] == "text":
        if not parts[0]["text"].lstrip().lower().startswith(_ALREADY_ERROR):
            parts[0]["text"] = _ERROR + parts[0]["text"]
    else:
        parts.insert(0, text_part(_ERROR + ("" if parts else NO_OUTPUT)))
