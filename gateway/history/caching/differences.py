"""The first item in which a request differs from the one before it, in the order of a provider's prompt
(pure).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

Body = Mapping[str, Any]

MODEL: Final = "model"
SERVICE_TIER: Final = "service tier"
ROUTING_KEY: Final = "routing key"
EFFORT: Final = "effort"
FORMAT: Final = "format of the answer"
TOOLS: Final = "tools"
SYSTEM: Final = "system"
MESSAGE: Final = "message"
_SYSTEM_ROLES: Final = ("system", "developer")


class PromptShape(NamedTuple):
    """A request as what decides about the cache.

    `options`: what it asks for beside its texts, by item. The rest are names of pieces, equal when their
    texts are: the list of tools, the system text in blocks, the messages.
    """

    options: Mapping[str, Any]
    tools: Sequence[bytes]
    system: Sequence[bytes]
    messages: Sequence[bytes]


class Difference(NamedTuple):
    """`place`: the number of the message or system block, from 0; None for others."""

    item: str
    place: int | None = None

    def __str__(self) -> str:
        return self.item if self.place is None else f"{self.item} {self.place}"


def shape(recipe: Mapping[str, Any] | None, base: Sequence[bytes], head: Sequence[bytes]) -> PromptShape:
    """The shape of a stored request (history/content/chunking.py) whose pieces have these names."""
    if recipe is None:
        return PromptShape({}, (), (), head)
    rest: Body = recipe["rest"]
    tools: list[bytes] = []
    system: list[bytes] = []
    place = 0
    for name, count in recipe["base"]:
        pieces = base[place : place + (1 if count is None else count)]
        place += len(pieces)
        (tools if name == "tools" else system).extend(pieces)
    short = rest.get("system") or rest.get("instructions")
    if isinstance(short, str):
        system.append(short.encode("utf-8", "replace"))
    return PromptShape(_options(rest), tools, system, head)


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


def _first(before: Sequence[bytes], after: Sequence[bytes]) -> int | None:
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
