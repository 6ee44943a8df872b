"""Image blocks as image parts (docs/conversion.md, "Blocks of users")."""

from __future__ import annotations

import binascii
from typing import Final

from gateway.conversion.blocks.chat_parts import image_part, text_part
from gateway.conversion.request_context import RequestContext
from gateway.wire.chat import ImagePart, TextPart
from gateway.wire.messages_request import RequestBlock

OMITTED: Final = "[image omitted: the selected model cannot view images]"
UNREADABLE: Final = "[image omitted: the provider cannot read {} images]"
# enough base64 for the longest magic bytes below
_HEAD: Final = 24


def image(block: RequestBlock, path: str, context: RequestContext) -> ImagePart | TextPart:
    """The part for an image block: an image, or a text marker for a model without vision."""
    if context.profile.images == "text":
        context.notes.add("replaced", path, "image: the model cannot view images")
        return text_part(OMITTED)
    if block.get("transformations"):
        context.notes.add("dropped", f"{path}.transformations", "image transformations")
    source = block["source"]
    if source["type"] == "url":
        return image_part(source["url"])
    data = without_whitespace(source["data"])
    media_type = _media_type(data, source["media_type"])
    if context.profile.image_types and media_type not in context.profile.image_types:
        # a single unreadable image would fail the whole request
        context.notes.add("replaced", path, f"image: the provider cannot read {media_type}")
        return text_part(UNREADABLE.format(media_type.partition("/")[2].upper()))
    return image_part(f"data:{media_type};base64,{data}")


def without_whitespace(data: str) -> str:
    """Base64 text without the line breaks that some clients put in."""
    pieces = data.split()
    return data if len(pieces) == 1 else "".join(pieces)


def _media_type(data: str, declared: str) -> str:
    """The type shown by the magic bytes, else the declared one: providers refuse a wrong label."""
    head = binascii.a2b_base64(data[:_HEAD] + "=" * (-len(data[:_HEAD]) % 4))
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return declared
