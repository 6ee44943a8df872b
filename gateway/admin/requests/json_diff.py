"""Two JSON texts side by side, with the values of each that are not in the other (pure).

The two are of different protocols, so their lines cannot be compared. Their values can: a value is marked
if it is nowhere on the other side.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from gateway.admin.ui.sanitize import inert
from gateway.wire import jsontext

MOST_LINES: Final = 4_000
LONGEST_LINE: Final = 2_000
# shorter texts are found everywhere
_SHORT: Final = 4
# The most characters of the other side that are searched for all values together, because somebody waits
# and the texts come from clients.
_MOST_SEARCHED: Final = 200_000_000


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of indented JSON, inert; `marked`: its value is not on the other side."""

    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    lines: list[DiffLine]
    left_out: int = 0

    @property
    def marked(self) -> int:
        return sum(line.marked for line in self.lines)


def side_by_side(one: bytes, other: bytes) -> tuple[Side, Side]:
    """Both texts, indented and marked. A text that is not JSON has no marks."""
    values = _loaded(one), _loaded(other)
    said = [_Said(value) for value in values]
    return _side(values[0], said[1]), _side(values[1], said[0])


class _Said:
    """The values of one side. Those not searched for within _MOST_SEARCHED count as missing."""

    def __init__(self, value: Any) -> None:
        leaves = list(_leaves(value))
        texts = [leaf for leaf in leaves if isinstance(leaf, str)]
        self._whole = {leaf if isinstance(leaf, str) else json.dumps(leaf) for leaf in leaves}
        self._whole.update(part for text in texts for part in text.split("\n\n"))
        self._texts = "\x00".join(texts)
        self._room = _MOST_SEARCHED

    def __contains__(self, leaf: Any) -> bool:
        if not isinstance(leaf, str):
            return json.dumps(leaf) in self._whole
        # the conversion joins and splits texts at empty lines
        return leaf in self._whole or all(
            not part or part in self._whole or (len(part) > _SHORT and self._says(part))
            for part in leaf.split("\n\n")
        )

    def _says(self, part: str) -> bool:
        if self._room <= 0:
            return False
        self._room -= len(self._texts)
        return part in self._texts


def _side(value: Any, other: _Said) -> Side:
    lines = [
        DiffLine(_cut(text), any(leaf not in other for leaf in leaves))
        for text, leaves in islice(_lines(value, 0, "", ""), MOST_LINES)
    ]
    return Side(lines, _count(value) - len(lines))


def _count(value: Any) -> int:
    """The number of lines that `_lines` gives."""
    count, waiting = 0, [value]
    while waiting:
        value = waiting.pop()
        count += 1
        if isinstance(value, dict | list) and value:
            count += 1
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return count


def _lines(value: Any, depth: int, before: str, after: str) -> Iterator[tuple[str, list[Any]]]:
    """The lines of `value` as indented JSON, each with its values."""
    indent = "  " * depth
    if isinstance(value, dict) and value:
        yield f"{indent}{before}{{", []
        for number, (key, item) in enumerate(value.items(), 1):
            comma = "," if number < len(value) else ""
            for text, leaves in _lines(item, depth + 1, f"{json.dumps(key, ensure_ascii=False)}: ", comma):
                # a word for a kind of object belongs to its protocol
                yield text, [] if key == "type" and isinstance(item, str) else leaves
        yield f"{indent}}}{after}", []
    elif isinstance(value, list) and value:
        yield f"{indent}{before}[", []
        for number, item in enumerate(value, 1):
            yield from _lines(item, depth + 1, "", "," if number < len(value) else "")
        yield f"{indent}]{after}", []
    else:
        text = json.dumps(value, ensure_ascii=False)
        yield f"{indent}{before}{text}{after}", [] if isinstance(value, dict | list) else [value]


def _leaves(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        else:
            yield value


def _cut(text: str) -> str:
    return inert(text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…")


def _loaded(text: bytes) -> Any:
    try:
        value = jsontext.loads(text)
        # too deep to be laid out as JSON raises here
        json.dumps(value)
    except (ValueError, RecursionError):
        return text.decode("utf-8", "replace")
    return value
