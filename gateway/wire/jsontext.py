"""JSON text in and out; the only place that knows orjson.

orjson refuses what a JavaScript client may legally send (half a surrogate pair
as an escape) and nesting beyond its own limits; those rare texts take the
standard library's slow path, so nobody is refused for them.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import orjson

from gateway import patterns

_CONSTANT: Final = patterns.compiled(rb"\b(?:NaN|Infinity)\b")
_HALF: Final = patterns.compiled(rb"\\u[dD][89a-fA-F]")


class InvalidJSON(ValueError):
    """The text is not JSON; str() is a short reason without any of the content."""


def loads(text: bytes | bytearray | memoryview | str) -> Any:
    """Parse one JSON text (UTF-8 when bytes).

    Duplicate keys: the last wins. NaN and Infinity are refused. Half surrogate
    pairs become U+FFFD. Raises InvalidJSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        return _loads_slowly(text, problem)


def loads_from_provider(text: bytes | str) -> tuple[Any, bool]:
    """Parse what a provider sent, and say whether half a surrogate pair stands in it.

    Halves stay: the other may come in the next text (`wire.halves`). NaN and Infinity,
    which servers written in Python send, are null. Raises InvalidJSON.
    """
    try:
        return orjson.loads(text), False
    except orjson.JSONDecodeError as problem:
        reason = _reason(problem.msg, problem.pos)
        if (
            "surrogate" not in problem.msg
            and "recursion" not in problem.msg
            and not _CONSTANT.search(_bytes(text))
        ):
            raise InvalidJSON(reason) from None
    try:
        return json.loads(text, parse_constant=lambda _: None), _HALF.search(_bytes(text)) is not None
    except RecursionError:
        raise InvalidJSON("nested too deeply") from None
    except ValueError:
        raise InvalidJSON(reason) from None


def whole_characters(text: str) -> str:
    """Pairs of surrogates as the characters that they are; half a pair is U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON, keys in given order, non-ASCII unescaped."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # too deep, an integer over 64 bits, or half a surrogate pair
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8", "replace")


def dumps_to_keep(value: Any) -> bytes:
    """`dumps`, in no more memory than the text takes: for what is held while a stream lasts.

    orjson hands out its buffer as it grew: 8 KB for a text of 1 KB, 32 KB for one of 3 KB.
    """
    return bytes(memoryview(dumps(value)))


def dumps_text(value: Any) -> str:
    """The same as dumps, as a string."""
    return dumps(value).decode("utf-8")


def _loads_slowly(text: bytes | bytearray | memoryview | str, problem: orjson.JSONDecodeError) -> Any:
    if "surrogate" not in problem.msg and "recursion" not in problem.msg:
        raise InvalidJSON(_reason(problem.msg, problem.pos)) from None
    try:
        value = json.loads(bytes(text) if isinstance(text, memoryview) else text, parse_constant=_refuse)
        return _mended(value)
    except RecursionError:
        raise InvalidJSON("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise InvalidJSON(_reason(error.msg, error.pos)) from None
    except UnicodeDecodeError:
        raise InvalidJSON("not valid UTF-8") from None
    except ValueError:
        # Python reads no integer of more than 4300 digits
        raise InvalidJSON("a number has too many digits") from None


def _bytes(text: bytes | str) -> bytes:
    return text.encode("utf-8", "replace") if isinstance(text, str) else text


def _reason(message: str, position: int) -> str:
    short = message.split(": line ")[0].split(":")[0].strip()
    return f"{short} at character {position}" if short else f"syntax error at character {position}"


def _refuse(name: str) -> NoReturn:
    raise InvalidJSON(f"{name} is not a JSON number")


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return whole_characters(value)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value
