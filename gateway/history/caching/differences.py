"""The first item in which a request differs from the one before it, in the order of a provider's prompt
(pure).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

Body = Mapping[str, Any]
# of a piece: a digest of its text, or a number that is given to the pieces of two requests
Name = bytes | int

MODEL: Final = "model"
PROVIDER: Final = "provider"
SERVICE_TIER: Final = "service tier"
ROUTING_KEY: Final = "routing key"
EFFORT: Final = "effort"
FORMAT: Final = "format of the answer"
TOOLS: Final = "tools"
SYSTEM: Final = "system"
MESSAGE: Final = "message"
# characters of what changed tools are called by
_LONGEST: Final = 200


class PromptShape(NamedTuple):
    """A request as what decides about the cache.

    `options`: what it asks for beside its texts, by item. The rest are names of pieces, which are equal in
    the two requests that are compared when their texts are: the list of tools, the system text in blocks,
    the messages.
    """

    options: Mapping[str, Any]
    tools: Sequence[Name]
    system: Sequence[Name]
    messages: Sequence[Name]


class Difference(NamedTuple):
    """`place`: the number of the message or system block, from 0; None for others."""

    item: str
    place: int | None = None

    def __str__(self) -> str:
        return self.item if self.place is None else f"{self.item} {self.place}"


def shape(recipe: Mapping[str, Any] | None, base: Sequence[Name], head: Sequence[Name]) -> PromptShape:
    """The shape of a stored request (history/content/chunking.py) whose pieces have these names."""
    if recipe is None:
        return PromptShape({}, (), (), head)
    rest: Body = recipe["rest"]
    tools: list[Name] = []
    system: list[Name] = []
    place = 0
    for name, count in recipe["base"]:
        pieces = base[place : place + (1 if count is None else count)]
        place += len(pieces)
        (tools if name == "tools" else system).extend(pieces)
    short = rest.get("system") or rest.get("instructions")
    if isinstance(short, str):
        system.append(short.encode("utf-8", "replace"))
    return PromptShape(_options(rest), tools, system, head)


def lengths(recipe: Mapping[str, Any] | None) -> tuple[int, int]:
    """How many pieces the base and the messages of a stored request have."""
    if recipe is None:
        return 0, 1
    return sum(1 if count is None else count for _, count in recipe["base"]), recipe["chain"][1]


def names_by_place(shared: int, before: int, after: int) -> tuple[list[Name], list[Name]]:
    """Names for the pieces of two chains of these lengths, of which the first `shared` are the same."""
    return list(range(before)), [*range(shared), *(-1 - place for place in range(shared, after))]


def first_difference(before: PromptShape, after: PromptShape) -> Difference | None:
    """Where `after` ceases to be what `before` was; None when it only goes on."""
    for item, value in after.options.items():
        if before.options.get(item) != value:
            return Difference(item)
    if list(before.tools) != list(after.tools):
        return Difference(TOOLS)
    place = _first(before.system, after.system)
    if place is not None or len(before.system) != len(after.system):
        return Difference(SYSTEM, min(len(before.system), len(after.system)) if place is None else place)
    place = _first(before.messages, after.messages)
    if place is None and len(after.messages) < len(before.messages):
        place = len(after.messages)
    return None if place is None else Difference(MESSAGE, place)


def changed_tools(before: Any, after: Any) -> list[str]:
    """The names of tools that one of two lists lacks or has otherwise, sorted; none when only their order
    changed. Lists of any protocol.
    """
    old, new = _by_name(before), _by_name(after)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def whose(names: Sequence[str]) -> str:
    """The MCP server whose tools these are, or else the names of the first few."""
    servers = {name.split("__")[1] if name.startswith("mcp__") else "" for name in names}
    if len(servers) == 1 and "" not in servers:
        return f"mcp__{servers.pop()}"[:_LONGEST]
    return ", ".join(names)[:_LONGEST]


def _by_name(tools: Any) -> dict[str, Any]:
    if not isinstance(tools, list):
        return {}
    functions = [tool.get("function", tool) for tool in tools if isinstance(tool, Mapping)]
    # a marker is no part of the prompt
    return {
        str(tool.get("name")): {name: value for name, value in tool.items() if name != "cache_control"}
        for tool in functions
        if isinstance(tool, Mapping)
    }


def _first(before: Sequence[Name], after: Sequence[Name]) -> int | None:
    return next(
        (number for number, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), None
    )


def _options(rest: Body) -> dict[str, Any]:
    reasoning, output = _object(rest.get("reasoning")), _object(rest.get("output_config"))
    text = _object(rest.get("text"))
    thinking = _object(rest.get("thinking"))
    effort = (
        rest.get("reasoning_effort"), reasoning.get("effort"), output.get("effort"), thinking.get("type"),
        thinking.get("budget_tokens"), rest.get("verbosity"), text.get("verbosity"),
        _object(rest.get("chat_template_kwargs")) or None,
    )  # fmt: skip
    form = (rest.get("response_format"), text.get("format"), output.get("format"), rest.get("output_format"))
    return {
        MODEL: rest.get("model"),
        SERVICE_TIER: rest.get("service_tier"),
        ROUTING_KEY: rest.get("prompt_cache_key"),
        EFFORT: effort,
        FORMAT: form,
    }


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
