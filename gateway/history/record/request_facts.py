"""Which tools failed, by the results that a request brings (pure).

Refused requests are noted too, so nothing about the shape is taken for granted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def failed_tools(request: Mapping[str, object]) -> list[str]:
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


def _messages(request: Mapping[str, object]) -> list[Mapping[str, Any]]:
    messages = request.get("messages")
    return [message for message in messages if type(message) is dict] if type(messages) is list else []


def _blocks(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    content = holder.get("content")
    if type(content) is list:
        for block in content:
            if type(block) is dict:
                yield block
