"""How much JSON a text may hold: values, containers and depth, counted before it is parsed.

A few megabytes of `[],` take half a gigabyte and seconds to parse, collect and convert. A linear
scan bounds that: first all brackets and commas are counted wherever they stand, which gives an upper
bound. Only a text that exceeds it is read exactly, ignoring the contents of strings, and in pieces,
so that in a thread it holds nobody up.

A body of 1.25 MB with 60 tool calls and their results has 2,102 containers and at most 22,324
values: the bounds are far above what clients send.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.wire import jsontext

MOST_CONTAINERS: Final = 100_000
# members of objects count twice: name and value
MOST_VALUES: Final = 500_000
MOST_DEPTH: Final = 500
# A shorter text cannot exceed the bounds.
UNCOUNTED: Final = 256 * 1024
# A text up to this size is sampled, because counting takes nearly as long as parsing. The sample is taken at
# places that nobody outside can know: Python hashes bytes with a key that each process generates.
SAMPLED: Final = 1280 * 1024
_SAMPLE: Final = 512
_PLACES: Final = tuple(hash(b"%d" % number) % 2**32 / 2**32 for number in range(64))

_PIECE: Final = 64 * 1024
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


class TooMuchJSON(jsontext.InvalidJSON):
    """str() is a sentence that says what there is too much of."""


def may_be_too_much(text: bytes) -> bool:
    """Whether `text` has to be read exactly."""
    size = len(text)
    if size <= UNCOUNTED:
        return False
    if size <= SAMPLED:
        sample = b"".join([text[at : at + _SAMPLE] for at in [int(place * size) for place in _PLACES]])
        if _count(sample, b"[{") * size < len(sample) * MOST_CONTAINERS // 4:
            return False
    return _count(text, b"[{") > MOST_CONTAINERS or _count(text, b"[{,:") > MOST_VALUES


def loads(text: bytes) -> Any:
    """The value of `text`, within the bounds. Raises TooMuchJSON, InvalidJSON."""
    if may_be_too_much(text):
        check(text)
    return jsontext.loads(text)


def _count(text: bytes, signs: bytes) -> int:
    return len(text) - len(text.translate(None, signs))


def check(text: bytes) -> None:
    """Read `text` to its end, or until it exceeds a bound. Raises TooMuchJSON.

    Text that is not JSON may pass or fail.
    """
    containers = values = depth = place = 0
    in_string = False
    while place < len(text):
        piece = text[place : place + _PIECE]
        # keep a backslash and what it escapes together
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2 and place + len(piece) < len(text):
            piece = text[place : place + _PIECE + 1]
        place += len(piece)
        if b"\\" in piece:
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')
        outside = b"".join(parts[in_string::2])
        in_string ^= not len(parts) % 2
        brackets = outside.translate(None, _NOT_BRACKETS)
        opened = brackets.count(b"[") + brackets.count(b"{")
        containers += opened
        values += opened + outside.count(b",") + outside.count(b":")
        if containers > MOST_CONTAINERS:
            raise TooMuchJSON(f"more than {MOST_CONTAINERS:,} objects and arrays")
        if values > MOST_VALUES:
            raise TooMuchJSON(f"more than {MOST_VALUES:,} values")
        depth = _deepest(brackets, depth)


def _deepest(brackets: bytes, depth: int) -> int:
    """The depth after these brackets. Raises TooMuchJSON when it was exceeded in between."""
    # an upper bound: as if all opening brackets came first
    if depth + brackets.count(b"[") + brackets.count(b"{") <= MOST_DEPTH:
        return depth + 2 * (brackets.count(b"[") + brackets.count(b"{")) - len(brackets)
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > MOST_DEPTH:
            raise TooMuchJSON(f"more than {MOST_DEPTH} levels")
    return depth
