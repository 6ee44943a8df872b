"""The long texts of a message, taken out and put back (pure).

A tool's result is in the client's message and in the one to the provider; the messages differ, the
text does not. Taken out, it is stored once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

# A separate text costs two digests, a stamp and a row.
LONG: Final = 400
# message, content, block, its content, part, text
_DEEPEST: Final = 6


def taken_out(message: object) -> tuple[Any, list[str]]:
    """The rest of a message, and its long texts; (message, []) when there are none."""
    paths: list[list[str | int]] = []
    texts: list[str] = []
    if type(message) is not dict:
        return message, texts
    for path, text in _long_texts(message, []):
        paths.append(path)
        texts.append(text)
    if not texts:
        return message, texts
    return {"message": _without(message, paths), "texts": paths}, texts


def put_back(left: dict[str, Any], texts: Sequence[str]) -> Any:
    """The message again; changes `left`. Raises ValueError or LookupError when they do not fit."""
    message = left["message"]
    for path, text in zip(left["texts"], texts, strict=True):
        place = message
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = text
    return message


def _long_texts(value: Any, path: list[str | int]) -> Iterator[tuple[list[str | int], str]]:
    kind = type(value)
    if kind is str:
        if len(value) >= LONG:
            yield path, value
    elif len(path) < _DEEPEST and kind is dict:
        for key, item in value.items():
            if type(item) in (str, dict, list):
                yield from _long_texts(item, [*path, key])
    elif len(path) < _DEEPEST and kind is list:
        for index, item in enumerate(value):
            yield from _long_texts(item, [*path, index])


def _without(value: Any, paths: Sequence[Sequence[str | int]]) -> Any:
    """A copy of `value` as deep as the paths go, with placeholders where they end."""
    if paths == [[]]:
        return None
    copy = value.copy()
    for step in dict.fromkeys(path[0] for path in paths):
        copy[step] = _without(value[step], [list(path[1:]) for path in paths if path[0] == step])
    return copy
