"""What an answer says, and its server-sent events; shared by the readers of both forms."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from bench.answers import CLOCK
from bench.captured import WrongAnswer

JSONObject = dict[str, Any]
_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")


class Event(NamedTuple):
    """`end`: the position behind it in the body."""

    name: str
    data: bytes
    end: int


@dataclass(slots=True)
class Found:
    """`first_content`: body position behind the first delta; `clocks`: (clock in the text, body position)."""

    text: str = ""
    thinking: str = ""
    tools: list[tuple[str, JSONObject]] = field(default_factory=list)
    stop: str | None = None
    first_content: int | None = None
    clocks: list[tuple[int, int]] = field(default_factory=list)

    def content_at(self, text: str, position: int, *, clock: bool) -> None:
        """A delta with `text` ends at `position`."""
        if self.first_content is None and text:
            self.first_content = position
        if clock:
            self.clocks += [(int(mark), position) for mark in CLOCK.findall(text.encode())]


def events_of(body: bytes) -> Iterator[Event]:
    """Server-sent events in order; comments are left out. Raises WrongAnswer when the last is cut."""
    start = 0
    for blank in _BLANK_LINE.finditer(body):
        name, data = "", []
        for line in body[start : blank.start()].splitlines():
            if line.startswith(b"event:"):
                name = line[6:].strip().decode()
            elif line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
        start = blank.end()
        if data:
            yield Event(name, b"\n".join(data), start)
    if body[start:].strip():
        raise WrongAnswer(f"the event stream ends inside an event: {body[-60:]!r}")


def loaded(text: bytes | str) -> JSONObject:
    """A JSON object. Raises WrongAnswer."""
    try:
        value = json.loads(text)
    except ValueError:
        raise WrongAnswer(f"not JSON: {text[:80]!r}") from None
    if not isinstance(value, dict):
        raise WrongAnswer(f"no JSON object: {text[:80]!r}")
    return value
