"""The wording of shape errors, as in the Messages API.

`path` is the dotted field path with list indexes. Null counts as absent, and booleans are not integers.

See docs/conversion.md, "Validation".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NoReturn

from gateway.errors import InvalidRequest
from gateway.wire.messages import JSONObject

REQUIRED: Final = "Field required"
TEXT: Final = "Input should be a valid string"
OBJECT: Final = "Input should be a valid dictionary"
LIST: Final = "Input should be a valid list"
INTEGER: Final = "Input should be a valid integer"
NUMBER: Final = "Input should be a valid number"
BOOLEAN: Final = "Input should be a valid boolean"


def refuse(path: str, problem: str) -> NoReturn:
    """Raises InvalidRequest `{path}: {problem}`."""
    raise InvalidRequest(f"{path}: {problem}")


def refuse_tag(path: str, tag: object, expected: Iterable[str]) -> NoReturn:
    """Raises InvalidRequest in the wording by which Claude Code knows an unsupported type."""
    tags = ", ".join(f"'{name}'" for name in expected)
    refuse(path, f"Input tag '{tag}' found using 'type' does not match any of the expected tags: {tags}")


def one_of(values: Iterable[str]) -> str:
    """`Input should be 'a', 'b' or 'c'`"""
    *others, last = (f"'{value}'" for value in values)
    return f"Input should be {', '.join(others)} or {last}" if others else f"Input should be {last}"


def is_integer(value: object) -> bool:
    return type(value) is int


def is_number(value: object) -> bool:
    return type(value) is int or type(value) is float


def required_string(owner: Mapping[str, object], name: str, path: str) -> str:
    """The string `owner[name]`; `path` is that of the owner. Raises InvalidRequest."""
    value = owner.get(name)
    if type(value) is str:
        return value
    refuse(f"{path}.{name}", REQUIRED if value is None else TEXT)


def required_object(owner: Mapping[str, object], name: str, path: str) -> JSONObject:
    """The object `owner[name]`; `path` is that of the owner. Raises InvalidRequest."""
    value = owner.get(name)
    if type(value) is dict:
        return value
    refuse(f"{path}.{name}", REQUIRED if value is None else OBJECT)


def optional(value: object, kind: type, path: str, problem: str) -> None:
    """Refuse a value that is neither null nor exactly of `kind`."""
    if value is not None and type(value) is not kind:
        refuse(path, problem)
