"""What an image costs, by its size (specification section 9)."""

from __future__ import annotations

import math
from typing import Final

from gateway.conversion.tokens.image_size import Size, image_size
from gateway.wire.messages import JSONObject

UNKNOWN: Final = 1600

_PIXELS_PER_TOKEN: Final = 750
_LONGEST_SIDE: Final = 1568
_MOST: Final = 1600
_BASE: Final = 85
_PER_TILE: Final = 170
_TILE: Final = 512
_TILED_LONG_SIDE: Final = 2048
_TILED_SHORT_SIDE: Final = 768


def image_tokens(source: JSONObject, formula: str) -> int:
    """The tokens of the image in a block's source; `formula` is the option `image_tokens`."""
    size = _size(source)
    if size is None:
        return UNKNOWN
    return _tiled(size) if formula == "openai_tiles" else _scaled(size)


def _size(source: JSONObject) -> Size | None:
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
