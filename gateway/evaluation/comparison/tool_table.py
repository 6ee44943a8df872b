"""The table of tools: where a call's target stands, of what kind it is, and what the call does.

`tools.json` names the tools of Claude Code. Another tool is read by the names of its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Final, Literal, NamedTuple

from gateway.wire import jsontext

TargetKind = Literal["path", "command", "pattern", "url", "words", "text", "none"]
# none: the call only reads; place: it reads below a path; edit, text, command: can be compared; open: cannot
EffectKind = Literal["none", "place", "edit", "text", "command", "open"]


class ToolReading(NamedTuple):
    """`target`: names of arguments, of which the first that is there counts.

    `fields`: what a `text` or `place` effect is made of.
    """

    target: tuple[str, ...]
    kind: TargetKind
    effect: EffectKind
    fields: tuple[str, ...] = ()


_DATA: Final = jsontext.loads((files(__package__) / "tools.json").read_bytes())
KNOWN: Final[Mapping[str, ToolReading]] = {
    name: ToolReading(tuple(one["target"]), one["kind"], one["effect"], tuple(one.get("fields", ())))
    for name, one in _DATA["tools"].items()
}
_OTHERS: Final = [ToolReading(tuple(one["fields"]), one["kind"], "open") for one in _DATA["others"]]
SUBCOMMANDS: Final = frozenset(_DATA["subcommands"])
WRAPPERS: Final = frozenset(_DATA["wrappers"])
FREE_TEXT_OPTIONS: Final = frozenset(_DATA["free_text_options"])
OUTPUT_FILTERS: Final = frozenset(_DATA["output_filters"])
ACTING_FLAGS: Final = {program: frozenset(flags) for program, flags in _DATA["acting_flags"].items()}
# everything that a call passes is its target
_WHOLE: Final = ToolReading((), "text", "open")


def reading_of(tool: str, arguments: Mapping[str, object]) -> ToolReading:
    """How to read a call of `tool`; for one that the table does not know, by its arguments."""
    known = KNOWN.get(tool)
    if known is not None:
        return known
    for other in _OTHERS:
        present = tuple(name for name in other.target if name in arguments)
        if present:
            return other._replace(target=present[:1])
    return _WHOLE
