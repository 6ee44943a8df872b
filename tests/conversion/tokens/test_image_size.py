"""Width and height from the first bytes of an image."""

import base64
import struct

import pytest

from gateway.conversion.tokens.image_tokens import image_size


def encoded(data):
    return base64.b64encode(data).decode()


PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480) + bytes(100)
GIF = b"GIF89a" + struct.pack("<HH", 320, 200) + bytes(20)


def jpeg(*, before=b"", marker=0xC0):
    size = struct.pack(">BBHBHHB", 0xFF, marker, 17, 8, 480, 640, 3)
    return b"\xff\xd8" + before + size + bytes(40)


def segment(marker, length):
    return struct.pack(">BBH", 0xFF, marker, length + 2) + b"\xff" * length


def webp(kind, body):
    return b"RIFF" + struct.pack("<I", 100) + b"WEBP" + kind + struct.pack("<I", 50) + body + bytes(40)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (PNG, (640, 480)),
        (GIF, (320, 200)),
        (GIF.replace(b"89a", b"87a"), (320, 200)),
        (jpeg(), (640, 480)),
        (jpeg(marker=0xC2), (640, 480)),
        (jpeg(before=segment(0xE1, 60_000) + segment(0xE2, 65_000) + segment(0xC4, 30)), (640, 480)),
        (jpeg(before=b"\xff\xff"), (640, 480)),
        (webp(b"VP8X", bytes(4) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")), (640, 480)),
        (webp(b"VP8L", b"\x2f" + (639 | 479 << 14).to_bytes(4, "little")), (640, 480)),
        (webp(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 640, 480)), (640, 480)),
        (webp(b"WHAT", b""), None),
        (b"", None),
        (b"\x89PNG\r\n\x1a\n", None),
        (PNG[:20], None),
        (struct.pack(">8s8sII", b"\x89PNG\r\n\x1a\n", b"", 0, 480) + bytes(9), None),
        (b"\xff\xd8\xff", None),
        (b"\xff\xd8" + segment(0xE1, 20), None),
        (b"\xff\xd8" + bytes(50), None),
        (b"BM" + bytes(50), None),
    ],
)
def test_the_size_is_read_from_the_header_or_unknown(data, size):
    assert image_size(encoded(data)) == size


def test_line_breaks_in_base64_do_not_matter():
    data = jpeg(before=segment(0xE1, 3000))
    assert image_size(base64.encodebytes(data).decode()) == (640, 480)


@pytest.mark.parametrize("data", ["!", "ÿØÿ", "iVBORw0KGg", "a"])
def test_what_is_no_base64_has_no_size(data):
    assert image_size(data) is None


def test_only_the_needed_bytes_are_decoded():
    assert image_size(encoded(PNG[:24]) + "A" * 40_000_000) == (640, 480)
