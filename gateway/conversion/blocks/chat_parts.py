"""Parts: the elements of a chat message's content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from gateway.conversion.cache_control import is_marked
from gateway.wire.chat import ChatPart, ImagePart, TextPart

PARAGRAPH = "\n\n"


def text_part(text: str) -> TextPart:
    return {"type": "text", "text": text}


def image_part(url: str) -> ImagePart:
    return {"type": "image_url", "image_url": {"url": url}}


def text_only(parts: Sequence[ChatPart]) -> TypeGuard[Sequence[TextPart]]:
    """Whether the parts lose nothing as one string: all texts, none marked for caching."""
    return all(part["type"] == "text" and not is_marked(part) for part in parts)


def joined(parts: Sequence[TextPart]) -> str:
    return PARAGRAPH.join([part["text"] for part in parts])


def content(parts: list[ChatPart], *, always_parts: bool = False) -> str | list[ChatPart]:
    """The content of a message: one string where that is possible and wanted, else the parts."""
    if not always_parts and text_only(parts):
        return joined(parts)
    return parts
