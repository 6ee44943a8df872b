"""What an image costs, by its size, which is read from its first bytes.

See docs/conversion.md, "The estimate".
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

# a JPEG may carry previews and colour profiles before its size
_MAX_SEGMENTS: Final = 200
_HEADER: Final = 32
_NO_SIZE_IN: Final = frozenset({0xC4, 0xC8, 0xCC})


class Size(NamedTuple):
    width: int
    height: int


class _Base64File:
    """Random access to a file in base64, where every four characters are three bytes."""

    def __init__(self, data: str) -> None:
        # line breaks would move the groups of four
        self._data = data if "\n" not in data[:100] and "\r" not in data[:100] else "".join(data.split())

    def read(self, start: int, length: int) -> bytes:
        first = start // 3
        last = (start + length + 2) // 3
        group = self._data[first * 4 : last * 4]
        try:
            found = base64.b64decode(group)
        except (binascii.Error, ValueError):
            return b""
        return found[start - first * 3 :][:length]


def image_size(data: str) -> Size | None:
    """The size of a PNG, GIF, WebP or JPEG in base64; None when it cannot be determined."""
    file = _Base64File(data)
    head = file.read(0, _HEADER)
    size: Size | None = None
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            size = Size(*struct.unpack_from(">II", head, 16))
        elif head.startswith(b"GIF8"):
            size = Size(*struct.unpack_from("<HH", head, 6))
        elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
            size = _webp(head)
        elif head.startswith(b"\xff\xd8"):
            size = _jpeg(file)
    except struct.error:
        return None
    return size if size is not None and min(size) > 0 else None


def _webp(head: bytes) -> Size | None:
    match head[12:16]:
        case b"VP8X":
            return Size(int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1)
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 26)
            return Size(width & 0x3FFF, height & 0x3FFF)
    return None


def _jpeg(file: _Base64File) -> Size | None:
    """Hop from segment to segment to the one with the size."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        segment = file.read(position, 9)
        if len(segment) < 9 or segment[0] != 0xFF:
            return None
        marker = segment[1]
        if marker == 0xFF:
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE_IN:
            height, width = struct.unpack_from(">HH", segment, 5)
            return Size(width, height)
        position += 2 + int.from_bytes(segment[2:4], "big")
    return None


UNKNOWN: Final = 1600

_PIXELS_PER_TOKEN: Final = 750
_LONGEST_SIDE: Final = 1568
_MOST: Final = 1600
_BASE: Final = 85
_PER_TILE: Final = 170
_TILE: Final = 512
_TILED_LONG_SIDE: Final = 2048
_TILED_SHORT_SIDE: Final = 768


def image_tokens(source: Mapping[str, object], formula: str) -> int:
    """The tokens of the image in a block's source; `formula` is the option `image_tokens`."""
    size = _size(source)
    if size is None:
        return UNKNOWN
    return _tiled(size) if formula == "openai_tiles" else _scaled(size)


def _size(source: Mapping[str, Any]) -> Size | None:
    if source["type"] == "base64":
        return image_size(source["data"])
    kind, comma, data = str(source.get("url")).partition(",")
    return image_size(data) if comma and kind.startswith("data:") and kind.endswith(";base64") else None


def _scaled(size: Size) -> int:
    scale = min(1.0, _LONGEST_SIDE / max(size))
    pixels = size.width * size.height * scale * scale
    return max(1, min(_MOST, math.ceil(pixels / _PIXELS_PER_TOKEN)))


def _tiled(size: Size) -> int:
    scale = min(1.0, _TILED_LONG_SIDE / max(size))
    scale = min(scale, _TILED_SHORT_SIDE / min(size))
    width, height = (math.ceil(round(side * scale) / _TILE) for side in size)
    return _BASE + _PER_TILE * max(1, width) * max(1, height)
