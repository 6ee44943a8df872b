"""What the upstream says for a model's name; the verifier expects exactly that.

    ep-300-5ms-text        300 pieces of text, one every 5 ms
    ep-300-0ms-text-w10    300 pieces, 10 per write, without pauses
    ep-300-5ms-tool        one tool call, its arguments in 300 fragments
    ep-300-5ms-think       300 pieces of reasoning, then one of text
    ep-24-500ms-text-clock the text is the time at which each piece was written
    ep-1-0ms-text-s2000    pieces of 2,000 characters

Names start with `ep-` because the gateway sends such names on unchanged.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["text", "tool", "think"]

TOOL: Final = "Write"
TOOL_CALL_ID: Final = "call_bench_0001"
CLOCK_DIGITS: Final = 18
CLOCK: Final = re.compile(rb"@(\d{18})")
LAST_WORDS: Final = "That is all."

_NAME: Final = re.compile(
    r"ep-(?P<chunks>\d+)-(?P<gap>\d+)ms-(?P<kind>text|tool|think)"
    r"(?:-w(?P<per_write>\d+))?(?:-s(?P<size>\d+))?(?P<clock>-clock)?"
)
_WORDS: Final = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "it", "rains")


@dataclass(frozen=True, slots=True)
class Answer:
    """One kind of answer. `gap` in seconds; `size` in characters a chunk; `clock`: the text is the time."""

    chunks: int
    gap: float
    kind: Kind
    per_write: int
    size: int
    clock: bool

    @property
    def pieces(self) -> list[str]:
        """The pieces of text, of reasoning, or of the tool's arguments. Not for `clock`."""
        if self.kind == "tool":
            return _cut(_arguments(self.chunks * self.size), self.chunks)
        return [piece(number, self.size) for number in range(self.chunks)]

    @property
    def whole(self) -> str:
        return "".join(self.pieces)


@functools.cache
def answer_for(model: str) -> Answer:
    """The answer that a model name asks for. Raises ValueError for another name."""
    found = _NAME.fullmatch(model)
    if found is None:
        raise ValueError(f"not a benchmark model: {model!r}")
    chunks, gap = int(found["chunks"]), int(found["gap"]) / 1000
    return Answer(
        chunks=chunks,
        gap=gap,
        kind=found["kind"],  # type: ignore[arg-type]
        per_write=int(found["per_write"] or (1 if gap else chunks)),
        size=int(found["size"] or 16),
        clock=bool(found["clock"]),
    )


def piece(number: int, size: int) -> str:
    """Piece `number` of a text: its number, words, and now and then a character that JSON escapes."""
    text = f"{number} "
    position = number
    while len(text) < size:
        text += _WORDS[position % len(_WORDS)] + " "
        position += 1
    text = text[:size]
    return text[:-3] + '"é\n' if number % 10 == 9 and size >= 8 else text


def _arguments(size: int) -> str:
    """A tool's arguments as JSON, `size` characters or a little more."""
    lines = []
    length = 0
    while length < size - 60:
        line = f'{len(lines)}: print("{_WORDS[len(lines) % len(_WORDS)]}")\n'
        lines.append(line)
        length += len(line) + 3
    return json.dumps({"file_path": "/srv/project/main.py", "content": "".join(lines)})


def _cut(text: str, count: int) -> list[str]:
    """`text` in exactly `count` pieces of nearly the same length."""
    bounds = [len(text) * number // count for number in range(count + 1)]
    return [text[start:end] for start, end in itertools.pairwise(bounds)]
