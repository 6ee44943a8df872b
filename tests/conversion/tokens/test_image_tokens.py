"""What an image costs (docs/conversion.md, "The estimate")."""

import base64
import struct

import pytest

from gateway.conversion.tokens.image_tokens import image_tokens


def png(width, height):
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(20)
    return {"type": "base64", "media_type": "image/png", "data": base64.b64encode(data).decode()}


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [
        (1, 1, 1),
        (100, 100, 14),
        (750, 1, 1),
        (1000, 1000, 1334),
        (1568, 1568, 1600),
        (4000, 1000, 820),
        (9000, 9000, 1600),
    ],
)
def test_anthropics_formula_goes_by_the_area_and_is_capped(width, height, tokens):
    assert image_tokens(png(width, height), "anthropic") == tokens


@pytest.mark.parametrize(
    ("width", "height", "tiles"),
    [(1, 1, 1), (512, 512, 1), (513, 512, 2), (1024, 1024, 4), (2048, 4096, 6), (4096, 1024, 4)],
)
def test_openais_formula_goes_by_tiles(width, height, tiles):
    assert image_tokens(png(width, height), "openai_tiles") == 85 + 170 * tiles


@pytest.mark.parametrize(
    "source",
    [
        {"type": "url", "url": "https://example.org/a.png"},
        {"type": "url", "url": "data:text/plain,hello"},
        {"type": "base64", "media_type": "image/png", "data": "AAAA"},
    ],
)
def test_an_unknown_size_costs_the_most(source):
    assert image_tokens(source, "anthropic") == 1600


def test_a_data_url_is_looked_into():
    url = "data:image/png;base64," + png(100, 100)["data"]
    assert image_tokens({"type": "url", "url": url}, "anthropic") == 14
