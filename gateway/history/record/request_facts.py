"""What the history notes about a request's content: images, and tools that failed (pure).

Refused requests are noted too, so nothing about the shape is taken for granted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def has_images(request: Mapping[str, Any]) -> bool:
    """Whether a message, or a tool's result, has an image.

    Plain loops, because this looks at every block of a long history with every request.
    """
    for message in _messages(request):
        content = message.get("content")
        if type(content) is not list:
            continue
        for block in content:
            if type(block) is not dict:
                continue
            kind = block.get("type")
            if kind == "image" or (kind == "tool_result" and _shows_image(block.get("content"))):
                return True
    return False


def _shows_image(content: Any) -> bool:
    return type(content) is list and any(
        type(inner) is dict and inner.get("type") == "image" for inner in content
    )


def failed_tools(request: Mapping[str, Any]) -> list[str]:
    """The names of the tools whose results are new in this request and are errors."""
    messages = _messages(request)
    last = next((n for n in range(len(messages) - 1, -1, -1) if messages[n].get("role") == "assistant"), None)
    if last is None:
        return []
    failed = [
        block.get("tool_use_id")
        for message in messages[last + 1 :]
        for block in _blocks(message)
        if block.get("type") == "tool_result" and block.get("is_error") is True
    ]
    if not failed:
        return []
    names = {
        block.get("id"): str(block.get("name", ""))
        for block in _blocks(messages[last])
        if block.get("type") == "tool_use" and isinstance(block.get("id"), str)
    }
    return [names.get(call, "?") if isinstance(call, str) else "?" for call in failed]


def _messages(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    messages = request.get("messages")
    return [message for message in messages if type(message) is dict] if type(messages) is list else []


def _blocks(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    content = holder.get("content")
    if type(content) is list:
        for block in content:
            if type(block) is dict:
                yield block
