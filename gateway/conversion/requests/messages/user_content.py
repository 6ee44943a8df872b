"""Blocks of users and of tool results as parts (specification sections 3.2, 3.5)."""

from __future__ import annotations

from gateway.conversion.blocks.chat_parts import text_part
from gateway.conversion.blocks.documents import document, search_result
from gateway.conversion.blocks.images import image
from gateway.conversion.request_context import RequestContext
from gateway.conversion.tool_calls.names import upstream_name
from gateway.wire import jsontext
from gateway.wire.messages import JSONObject


def block_parts(block: JSONObject, path: str, context: RequestContext) -> list[JSONObject]:
    """The parts of one checked block, the last of them carrying its cache marker.

    Any block but `tool_result` that a user message or a tool result may hold.
    Raises InvalidRequest for documents the provider does not take.
    """
    parts = _parts(block, path, context)
    if parts:
        context.markers.put(parts[-1], block)
    return parts


def _parts(block: JSONObject, path: str, context: RequestContext) -> list[JSONObject]:
    match block["type"]:
        case "text":
            return [text_part(block["text"])] if block["text"] else []
        case "image":
            return [image(block, path, context)]
        case "document":
            return document(block, path, context)
        case "search_result":
            return [search_result(block, path, context)]
        case "compaction":
            return [text_part(f"<conversation_summary>\n{block['content']}\n</conversation_summary>")]
        case "tool_reference":
            return [text_part(f"Tool available: {upstream_name(block['tool_name'])}")]
        case _:
            return [_browser_state(block, path, context)]


def _browser_state(block: JSONObject, path: str, context: RequestContext) -> JSONObject:
    context.notes.add("replaced", path, "browser state sent as text")
    state = {name: block[name] for name in ("tabs", "state_changes") if block.get(name) is not None}
    return text_part(f"[browser state] {jsontext.dumps_text(state)}")
