"""Parts: the elements of a chat message's content."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.conversion.cache_control import is_marked
from gateway.wire.messages import JSONObject

PARAGRAPH = "\n\n"


def text_part(text: str) -> JSONObject:
    return {"type": "text", "text": text}


def image_part(url: str) -> JSONObject:
    return {"type": "image_url", "image_url": {"url": url}}


def text_only(parts: Sequence[JSONObject]) -> bool:
    """Whether the parts lose nothing as one string: all texts, none marked for caching."""
    return all(part["type"] == "text" and not is_marked(part) for part in parts)


def joined(parts: Sequence[JSONObject]) -> str:
    return PARAGRAPH.join([part["text"] for part in parts])


def content(parts: list[JSONObject], *, always_parts: bool = False) -> str | list[JSONObject]:
    """The content of a message: one string where that is possible and wanted, else the parts."""
    return joined(parts) if not always_parts and text_only(parts) else parts
