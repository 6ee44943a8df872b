"""Whether two edits of one file leave the same text, as far as their old and new strings tell.

The file itself is not known. Two edits that quote different amounts of its text can still be compared: one is
applied to what the other quotes, or both are reduced to what they change and its surroundings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

# characters that two edits must share for their place to be the same
SHORTEST_SHARED: Final = 8
MOST_EDITS: Final = 64


class EffectLikeness(StrEnum):
    """Whether two calls do the same; UNKNOWN: nothing tells."""

    SAME = "same"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


class TextEdit(NamedTuple):
    """`old` becomes `new`, once or everywhere. An empty `old` makes a new file."""

    old: str
    new: str
    everywhere: bool = False


def edits_of(arguments: Mapping[str, object]) -> tuple[TextEdit, ...]:
    """The edits that a call of Edit or MultiEdit asks for, in their order."""
    listed = arguments.get("edits")
    entries = listed if isinstance(listed, list) else [arguments]
    return tuple(
        TextEdit(_text(one.get("old_string")), _text(one.get("new_string")), one.get("replace_all") is True)
        for one in entries[:MOST_EDITS]
        if isinstance(one, Mapping)
    )


def same_result(first: Sequence[TextEdit], second: Sequence[TextEdit]) -> EffectLikeness:
    """Whether two lists of edits leave the same text."""
    if tuple(first) == tuple(second):
        return EffectLikeness.SAME
    if len(first) != len(second) or not first:
        # several edits may amount to one, but nothing here tells
        return EffectLikeness.UNKNOWN
    found = {_same(one, other) for one, other in zip(first, second, strict=True)}
    for worst in (EffectLikeness.DIFFERS, EffectLikeness.UNKNOWN):
        if worst in found:
            return worst
    return EffectLikeness.SAME


def _same(one: TextEdit, other: TextEdit) -> EffectLikeness:
    if one.old == other.old:
        same = one.new == other.new and (one.everywhere == other.everywhere)
        if one.new == other.new and not same:
            # it depends on how often the text occurs
            return EffectLikeness.UNKNOWN
        return EffectLikeness.SAME if same else EffectLikeness.DIFFERS
    if not one.old or not other.old or one.everywhere != other.everywhere:
        return EffectLikeness.UNKNOWN if one.old and other.old else EffectLikeness.DIFFERS
    small, large = sorted((one, other), key=lambda edit: len(edit.old))
    if large.old.count(small.old) == 1 and not small.everywhere:
        same = large.old.replace(small.old, small.new) == large.new
        return EffectLikeness.SAME if same else EffectLikeness.DIFFERS
    return _same_core(_reduced(one), _reduced(other))


class _Core(NamedTuple):
    before: str
    old: str
    new: str
    after: str


def _reduced(edit: TextEdit) -> _Core:
    """What an edit really changes, and the text around it that it quotes."""
    start = _shared_start(edit.old, edit.new)
    old, new = edit.old[start:], edit.new[start:]
    end = _shared_start(old[::-1], new[::-1])
    after = old[len(old) - end :]
    return _Core(edit.old[:start], old[: len(old) - end], new[: len(new) - end], after)


def _shared_start(one: str, other: str) -> int:
    """How many characters two texts have in common from their beginnings."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _same_core(one: _Core, other: _Core) -> EffectLikeness:
    if (one.old, one.new) != (other.old, other.new):
        return EffectLikeness.DIFFERS
    fits = (one.before.endswith(other.before) or other.before.endswith(one.before)) and (
        one.after.startswith(other.after) or other.after.startswith(one.after)
    )
    if not fits:
        return EffectLikeness.DIFFERS
    shared = min(len(one.before), len(other.before)) + len(one.old) + min(len(one.after), len(other.after))
    return EffectLikeness.SAME if shared >= SHORTEST_SHARED else EffectLikeness.UNKNOWN


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
