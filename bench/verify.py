"""Is this exactly the expected answer? In both forms: Messages (Anthropic's) and Chat (OpenAI's).

Everything is checked: status, event names and their legal order, block numbers, the exact text, reasoning
and tool arguments, stop reason, usage, and that nothing follows the end. A benchmark that counts wrong
answers measures nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, Literal

from bench import read_chat, read_messages
from bench.answers import CLOCK, CLOCK_DIGITS, LAST_WORDS, TOOL, Answer
from bench.captured import Decoded, WrongAnswer
from bench.found import Found

Form = Literal["messages", "chat"]

# (form, streamed) -> reader of a body
READERS: Final[dict[tuple[Form, bool], Callable[[bytes], Found]]] = {
    ("messages", True): read_messages.read_stream,
    ("messages", False): read_messages.read_whole,
    ("chat", True): read_chat.read_stream,
    ("chat", False): read_chat.read_whole,
}
STOPS: Final[dict[Form, dict[str, str]]] = {
    "messages": {"text": "end_turn", "think": "end_turn", "tool": "tool_use"},
    "chat": {"text": "stop", "think": "stop", "tool": "tool_calls"},
}


def verified(answer: Decoded, expected: Answer, form: Form, *, stream: bool) -> Found:
    """The facts of a right answer. Raises WrongAnswer."""
    if answer.status != 200:
        raise WrongAnswer(f"status {answer.status}: {answer.body[:200].decode(errors='replace')}")
    kind = answer.headers.get("content-type", "").split(";")[0]
    if kind != ("text/event-stream" if stream else "application/json"):
        raise WrongAnswer(f"content-type {kind!r}")
    try:
        found = READERS[form, stream](answer.body)
    except (KeyError, TypeError, IndexError, AttributeError) as problem:
        raise WrongAnswer(f"a part is missing or of another type: {problem!r}") from None
    if found.stop != STOPS[form][expected.kind]:
        raise WrongAnswer(f"stop reason {found.stop!r}")
    if expected.clock:
        _compare_clocks(found, expected)
    elif expected.kind == "tool":
        _same("text", found.text.strip(), "")
        if found.tools != [(TOOL, json.loads(expected.whole))]:
            raise WrongAnswer(f"the tool calls differ: {str(found.tools)[:200]}")
    else:
        _same("text", found.text, LAST_WORDS if expected.kind == "think" else expected.whole)
        _same("reasoning", found.thinking, expected.whole if expected.kind == "think" else "")
    return found


def _compare_clocks(found: Found, expected: Answer) -> None:
    marks = [int(mark) for mark in CLOCK.findall(found.text.encode())]
    if len(marks) != expected.chunks or len(found.text) != len(marks) * (CLOCK_DIGITS + 1):
        raise WrongAnswer(f"{len(marks)} clock marks in {len(found.text)} characters")
    if marks != sorted(marks):
        raise WrongAnswer("the text is out of order")
    if marks != [clock for clock, _ in found.clocks]:
        raise WrongAnswer("a clock mark is split between events")


def _same(what: str, found: str, expected: str) -> None:
    if found != expected:
        pairs = enumerate(zip(found, expected, strict=False))
        at = next((number for number, (one, other) in pairs if one != other), None)
        how = f"has {len(found)} characters, not {len(expected)}" if at is None else f"differs at {at}"
        raise WrongAnswer(f"the {what} {how}")
