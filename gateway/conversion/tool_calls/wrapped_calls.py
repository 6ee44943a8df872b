"""A call inside the arguments of another: `{"name": "Bash", "arguments": {...}}`.

Servers that read a template badly hand on what stands between its marks: the object of the next call behind
the arguments of the first, or the object of a call as its own arguments. Such an object is the call that it
names, unless the tool that it came under takes these properties itself.

See docs/conversion.md, "Tool calls".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.conversion.context import ToolFacts
from gateway.conversion.tool_calls.arguments import INVALID, input_of

_ARGUMENTS: Final = ("arguments", "parameters", "input")
_KEYS: Final = frozenset({"name", "id", "type", *_ARGUMENTS})


def takes_calls(schema: object) -> bool:
    """Whether a tool's schema has the properties of a call, or does not tell its properties."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return True
    return "name" in properties and any(name in properties for name in _ARGUMENTS)


def call_in(given: Mapping[str, object], tool: str, facts: ToolFacts) -> tuple[str, dict[str, object]] | None:
    """Name and input of the call that the arguments `given` to `tool` are; None when they are arguments."""
    name = given.get("name")
    if not isinstance(name, str) or name not in facts.offered or tool in facts.taking_calls:
        return None
    told = [key for key in _ARGUMENTS if key in given]
    if len(told) != 1 or not given.keys() <= _KEYS:
        return None
    arguments = given[told[0]]
    if not isinstance(arguments, dict | str):
        return None
    read = input_of(arguments)[0]
    return None if INVALID in read else (name, read)
