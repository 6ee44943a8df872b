"""One step: the answer that was given against the one that a candidate gives.

When the two make a different number of calls, the shorter list is compared: a model that asks for one file
after another does the same as one that asks for three at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from gateway.evaluation.comparison.calls import ReadCall, likeness, read_call, same_target
from gateway.evaluation.comparison.edits import EffectLikeness
from gateway.evaluation.comparison.texts import compare_texts

# calls of one answer that are compared
MOST_CALLS: Final = 16
# characters of all calls of an answer; of a larger one only tools and targets are compared
LARGEST_CALLS: Final = 400_000
LONGEST_TOOL: Final = 100


class StepVerdict(StrEnum):
    """How a proposed step stands to the one that was taken, best first. TEXT is not judged."""

    SAME = "same"
    TARGET = "target"
    EFFECT = "effect"
    TOOL = "tool"
    OTHER = "other"
    STOPPED = "stopped"
    WENT_ON = "went_on"
    TEXT = "text"


AGREEING: Final = frozenset({StepVerdict.SAME, StepVerdict.TARGET})
DIVERGING: Final = frozenset(set(StepVerdict) - AGREEING - {StepVerdict.TEXT})
_RANK: Final = {verdict: rank for rank, verdict in enumerate(StepVerdict)}
_OF_EFFECT: Final = {
    EffectLikeness.SAME: StepVerdict.SAME,
    EffectLikeness.UNKNOWN: StepVerdict.TARGET,
    EffectLikeness.DIFFERS: StepVerdict.EFFECT,
}


class StepComparison(NamedTuple):
    """`tool`: what was called first, "" for a text; `proposed_tool`: the call that it was compared with.

    `calls` and `proposed_calls`: how many there were. `ratio` and `overlap` are of the texts.
    """

    verdict: StepVerdict
    tool: str
    proposed_tool: str
    calls: int
    proposed_calls: int
    ratio: float
    overlap: float


def compare_steps(taken: Mapping[str, object], proposed: Mapping[str, object]) -> StepComparison:
    """Compare two assistant messages. What they contain may be anything; never raises."""
    ours, theirs = _calls(taken), _calls(proposed)
    texts = compare_texts(_text(taken), _text(proposed))
    verdict, tool, proposed_tool = _compared(ours[:MOST_CALLS], theirs[:MOST_CALLS])
    return StepComparison(
        verdict, tool[:LONGEST_TOOL], proposed_tool[:LONGEST_TOOL], len(ours), len(theirs), *texts
    )


def _compared(ours: Sequence[ReadCall], theirs: Sequence[ReadCall]) -> tuple[StepVerdict, str, str]:
    if not ours:
        return (StepVerdict.WENT_ON, "", theirs[0].tool) if theirs else (StepVerdict.TEXT, "", "")
    if not theirs:
        return StepVerdict.STOPPED, ours[0].tool, ""
    short, long = (ours, list(theirs)) if len(ours) <= len(theirs) else (theirs, list(ours))
    worst, at = StepVerdict.SAME, (ours[0].tool, theirs[0].tool)
    for call in short:
        ranked = [(_RANK[_verdict(call, other)], place) for place, other in enumerate(long)]
        rank, place = min(ranked)
        if rank > _RANK[worst]:
            other = long[place]
            worst = next(verdict for verdict, one in _RANK.items() if one == rank)
            at = (call.tool, other.tool) if short is ours else (other.tool, call.tool)
        del long[place]
    return worst, at[0], at[1]


def _verdict(one: ReadCall, other: ReadCall) -> StepVerdict:
    if one.tool != other.tool:
        return StepVerdict.OTHER
    if not same_target(one, other):
        return StepVerdict.TOOL
    return _OF_EFFECT[likeness(one, other)]


def _calls(message: Mapping[str, Any]) -> list[ReadCall]:
    blocks = [
        block
        for block in _blocks(message)
        if block.get("type") == "tool_use" and isinstance(block.get("name"), str)
    ]
    if sum(_size(block.get("input")) for block in blocks) > LARGEST_CALLS:
        return [_small(block["name"], block.get("input")) for block in blocks]
    return [read_call(block["name"], block.get("input")) for block in blocks]


def _small(tool: str, given: Any) -> ReadCall:
    """A call of an answer that is too large: its short arguments say what it is about."""
    arguments = given if isinstance(given, Mapping) else {}
    short = {name: value for name, value in arguments.items() if isinstance(value, str) and len(value) < 1000}
    call = read_call(tool, short)
    return call._replace(effect=None)


def _size(value: Any) -> int:
    """Characters of all texts in a value, and a few for each other part of it; stops when it is plenty."""
    total, left = 0, [value]
    while left and total <= LARGEST_CALLS:
        one = left.pop()
        if isinstance(one, str):
            total += len(one)
        elif isinstance(one, Mapping):
            total += 8 * len(one)
            left.extend(one.values())
        elif isinstance(one, list):
            total += 8 * len(one)
            left.extend(one)
    return total


def _text(message: Mapping[str, Any]) -> str:
    texts = [block.get("text") for block in _blocks(message) if block.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str))


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, Mapping)] if isinstance(content, list) else []
