"""What Anthropic's servers did in earlier turns, as text.

Calls and results of server tools have no place in Chat Completions. Their
shapes are many and were not checked, so everything is read with care.

See docs/conversion.md, "Blocks of the assistant".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gateway.conversion.tool_calls.names import upstream_name
from gateway.wire import jsontext
from gateway.wire.lenient import object_of, objects_of, text_of
from gateway.wire.messages_request import RequestBlock


def server_text(block: RequestBlock, name_format: str) -> str | None:
    """The text for a server tool's call or result; "" when there is nothing to say, None for another block.

    `name_format`: how tools are named for the model (`tool_name_format`).
    """
    reader = _READERS.get(block["type"])
    return None if reader is None else reader(block, name_format)


def _call(block: RequestBlock, _: str) -> str:
    return f"[{text_of(block.get('name'))} call: {jsontext.dumps_text(block.get('input') or {})}]"


def _web_search(block: RequestBlock, _: str) -> str:
    content = block.get("content")
    if not isinstance(content, list):
        return f"[web search failed: {_error_code(content)}]"
    lines = [f"- {text_of(item.get('title'))} ({text_of(item.get('url'))})" for item in objects_of(content)]
    return "\n".join(["[web search results]", *lines])


def _web_fetch(block: RequestBlock, _: str) -> str:
    content = object_of(block.get("content"))
    if content.get("type") != "web_fetch_result":
        return f"[web fetch failed: {_error_code(content)}]"
    source = object_of(object_of(content.get("content")).get("source"))
    text = ""
    if source.get("type") == "text":
        text = text_of(source.get("data"))
    elif source.get("type") == "content":
        text = _texts(source.get("content"))
    return f"[fetched {text_of(content.get('url'))}]\n{text}".rstrip("\n")


def _code_execution(block: RequestBlock, _: str) -> str:
    content = object_of(block.get("content"))
    if "error_code" in content:
        return f"[code execution failed: {_error_code(content)}]"
    heading = "[code execution result"
    if content.get("return_code") is not None:
        heading += f", return code {content['return_code']}"
    outputs = (content.get("stdout"), content.get("stderr"), content.get("content"))
    return "\n".join([f"{heading}]", *(output for output in outputs if isinstance(output, str) and output)])


def _tool_search(block: RequestBlock, name_format: str) -> str:
    content = object_of(block.get("content"))
    if "error_code" in content:
        return f"[tool search failed: {_error_code(content)}]"
    found = [text_of(item.get("tool_name")) for item in objects_of(content.get("tool_references"))]
    names = [upstream_name(name, name_format) for name in found]
    return f"[tools found: {', '.join(names)}]"


def _advisor(block: RequestBlock, _: str) -> str:
    return text_of(object_of(block.get("content")).get("text"))


def _mcp_result(block: RequestBlock, _: str) -> str:
    return _texts(block.get("content"))


def _texts(content: Any) -> str:
    if isinstance(content, list):
        return "\n\n".join(text_of(item.get("text")) for item in objects_of(content) if item.get("text"))
    return text_of(content)


def _error_code(value: Any) -> str:
    return text_of(object_of(value).get("error_code")) or "unknown"


# of each kind that becomes text of the assistant (block_kinds.py)
_READERS: Final[dict[str, Callable[[RequestBlock, str], str]]] = {
    "server_tool_use": _call,
    "mcp_tool_use": _call,
    "web_search_tool_result": _web_search,
    "web_fetch_tool_result": _web_fetch,
    "code_execution_tool_result": _code_execution,
    "bash_code_execution_tool_result": _code_execution,
    "text_editor_code_execution_tool_result": _code_execution,
    "tool_search_tool_result": _tool_search,
    "advisor_tool_result": _advisor,
    "mcp_tool_result": _mcp_result,
}
