"""JSON text in and out; the only module that knows orjson.

orjson refuses what a JavaScript client may legally send: half a surrogate pair as an escape. In such
a text each half is replaced by the escape of U+FFFD, in pieces so that other threads can run in
between, and orjson reads the result.
"""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

from gateway import patterns

_CONSTANT: Final = patterns.compiled(rb"\b(?:NaN|Infinity)\b")
_HALF: Final = patterns.compiled(rb"\\u[dD][89a-fA-F]")
# one half without the other beside it
_LONE: Final = patterns.compiled(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_HIGH: Final = patterns.compiled(rb"\\u[dD][89abAB]")
_PIECE: Final = 64 * 1024
# bytes of a pair of escapes
_PAIR: Final = 12
# stands for an escaped backslash; no JSON text contains this byte
_NUL: Final = b"\0\0"


class InvalidJSON(ValueError):
    """The text is not JSON; str() is a short reason without any of the content."""


def loads(text: bytes | bytearray | memoryview | str) -> Any:
    """Parse one JSON text (UTF-8 when bytes).

    Duplicate keys: the last wins. NaN and Infinity are refused. Half surrogate pairs become U+FFFD. A byte
    order mark is skipped. Raises InvalidJSON, also for more than 1,024 levels.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        return _loads_mended(text, problem)


def loads_unambiguous(text: str) -> object:
    """`loads` for a short text that decides something: a key that comes twice raises InvalidJSON too."""
    loads(text)
    try:
        told: object = json.loads(text, object_pairs_hook=_each_once)
    except RecursionError:
        raise InvalidJSON("nested too deeply") from None
    except ValueError as problem:
        raise InvalidJSON(str(problem)) from None
    return told


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidJSON("a key comes twice")
    return found


def loads_from_provider(text: bytes | str) -> tuple[Any, bool]:
    """Parse what a provider sent, and say whether it contains half a surrogate pair.

    Halves stay: the other one may come in the next text (`wire.halves`). NaN and Infinity, which servers
    written in Python send, become null; line ends and tabs that nobody escaped stay what they are. Raises
    InvalidJSON.
    """
    try:
        return orjson.loads(text), False
    except orjson.JSONDecodeError as problem:
        reason = _reason(problem.msg, problem.pos)
        if (
            "surrogate" not in problem.msg
            and "recursion" not in problem.msg
            and "control character" not in problem.msg
            and not _CONSTANT.search(_bytes(text))
        ):
            raise InvalidJSON(reason) from None
    try:
        value = json.loads(text, parse_constant=lambda _: None, strict=False)
        return value, _HALF.search(_bytes(text)) is not None
    except RecursionError:
        raise InvalidJSON("nested too deeply") from None
    except ValueError:
        raise InvalidJSON(reason) from None


def whole_characters(text: str) -> str:
    """Surrogate pairs as the characters they encode; half a pair becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def dumps(value: object) -> bytes:
    """Compact UTF-8 JSON, keys in the given order, non-ASCII unescaped."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # too deep, an integer over 64 bits, or half a surrogate pair
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8", "replace")


def dumps_to_keep(value: object) -> bytes:
    """`dumps` in no more memory than the text needs: for values that are held while a stream lasts.

    orjson returns its buffer at the size it grew to: 8 KB for a text of 1 KB, 32 KB for one of 3 KB.
    """
    return bytes(memoryview(dumps(value)))


def dumps_text(value: object) -> str:
    """The same as dumps, as a string."""
    return dumps(value).decode("utf-8")


def _loads_mended(text: bytes | bytearray | memoryview | str, problem: orjson.JSONDecodeError) -> Any:
    if problem.pos == 0 and _marked(text):
        rest = text[1:] if isinstance(text, str) else bytes(text)[3:]
        if not _marked(rest):
            return loads(rest)
    if "surrogate" in problem.msg:
        try:
            return orjson.loads(_without_halves(text))
        except orjson.JSONDecodeError as other:
            problem = other
    raise InvalidJSON(_reason(problem.msg, problem.pos)) from None


def _marked(text: bytes | bytearray | memoryview | str) -> bool:
    """Whether a byte order mark stands before the text."""
    return text.startswith("\ufeff") if isinstance(text, str) else bytes(text[:3]) == b"\xef\xbb\xbf"


def _without_halves(text: bytes | bytearray | memoryview | str) -> bytes:
    """The same text, of the same length, with U+FFFD for each half of a surrogate pair."""
    whole = whole_characters(text).encode() if isinstance(text, str) else bytes(text)
    if b"\0" in whole:
        raise InvalidJSON("a control character stands in the text")
    pieces, place = [], 0
    while place < len(whole):
        piece = whole[place : place + _PIECE]
        # keep a backslash and what it escapes together
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            piece = whole[place : place + _PIECE + 1]
        last = place + len(piece) >= len(whole)
        if b"\\" in piece:
            # from here on every backslash begins an escape
            piece = piece.replace(b"\\\\", _NUL)
            if not last:
                piece = piece[: _end_between_escapes(piece)]
            place += len(piece)
            piece = _LONE.sub(rb"\\ufffd", piece).replace(_NUL, b"\\\\")
        else:
            place += len(piece)
        pieces.append(piece)
    return b"".join(pieces)


def _end_between_escapes(piece: bytes) -> int:
    """Where `piece` can end without cutting an escape or a pair of them."""
    at = piece.rfind(b"\\", len(piece) - _PAIR)
    if at < 0:
        return len(piece)
    before = at - _PAIR // 2
    return before if _HIGH.match(piece, before) else at


def _bytes(text: bytes | str) -> bytes:
    return text.encode("utf-8", "replace") if isinstance(text, str) else text


def _reason(message: str, position: int) -> str:
    short = message.split(": line ")[0].split(":")[0].strip()
    return f"{short} at character {position}" if short else f"syntax error at character {position}"
