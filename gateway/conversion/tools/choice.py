"""tool_choice on its way upstream (docs/conversion.md, "Tool choice")."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypedDict, cast

from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.validation.shape_errors import (
    BOOLEAN,
    OBJECT,
    REQUIRED,
    optional,
    refuse,
    refuse_tag,
    required_string,
)
from gateway.wire.messages_request import MessagesRequest

_TYPES: Final = ("auto", "any", "tool", "none")


class AskedChoice(TypedDict, total=False):
    """A checked `tool_choice`: `type` is auto, any, tool (called `name`) or none. Empty: there was none."""

    type: str
    name: str
    disable_parallel_tool_use: bool | None


class _Named(TypedDict):
    name: str


class FunctionChoice(TypedDict):
    type: Literal["function"]
    function: _Named


class SearchChoice(TypedDict):
    """The provider's own web search, over the Responses API."""

    type: Literal["web_search"]


SentChoice = str | FunctionChoice | SearchChoice


class ToolChoice(NamedTuple):
    """`value`: what is sent (None = nothing). `only`: the one function sent; `withheld`: none is."""

    value: SentChoice | None
    only: str | None = None
    withheld: bool = False


def checked_choice(request: MessagesRequest) -> AskedChoice:
    """The request's tool_choice, `{}` when there is none. Raises InvalidRequest."""
    choice = request.get("tool_choice")
    if choice is None:
        return {}
    if type(choice) is not dict:
        refuse("tool_choice", OBJECT)
    kind = choice.get("type")
    if kind is None:
        refuse("tool_choice.type", REQUIRED)
    if kind not in _TYPES:
        refuse_tag("tool_choice", kind, _TYPES)
    if kind == "tool":
        required_string(choice, "name", "tool_choice.tool")
    parallel = "disable_parallel_tool_use"
    optional(choice.get(parallel), bool, f"tool_choice.{kind}.{parallel}", BOOLEAN)
    if kind in ("any", "tool") and not request.get("tools"):
        refuse("tool_choice", "may only be specified while providing tools")
    return cast(AskedChoice, dict(choice))


def sent_choice(choice: AskedChoice, function: str | None, profile: Profile, ledger: Ledger) -> ToolChoice:
    """The choice in the forms the provider takes.

    `function` is the upstream name of the tool chosen by name.
    """
    forced = "any" if profile.tool_choice_any == "any" else "required"
    accepts = profile.tool_choice
    match choice.get("type"):
        case None:
            return ToolChoice(None)
        case "none" if accepts == "auto_only":
            ledger.replaced("tool_choice", "none: no tools are sent instead")
            return ToolChoice(None, withheld=True)
        case "none":
            return ToolChoice("none")
        case "any" if accepts in ("no_forced", "auto_only"):
            ledger.replaced("tool_choice", "any became auto: the provider takes no forced call")
            return ToolChoice("auto")
        case "any":
            return ToolChoice(forced)
        case "tool" if accepts == "full" and function is not None:
            return ToolChoice({"type": "function", "function": {"name": function}})
        case "tool":
            value = forced if accepts == "no_named" else "auto"
            ledger.replaced("tool_choice", f"tool became {value}, and only that tool is sent")
            return ToolChoice(value, only=function)
    return ToolChoice("auto")


def wants_single_call(choice: AskedChoice) -> bool:
    """Whether at most one tool may be called (`none` allows no call anyway)."""
    return choice.get("disable_parallel_tool_use") is True and choice.get("type") != "none"


def parallel_field(choice: AskedChoice, profile: Profile) -> dict[str, bool]:
    """The body field which asks for at most one call."""
    if not wants_single_call(choice) or profile.parallel_tool_calls == "drop":
        return {}
    name = "parallel_tool_calls" if profile.parallel_tool_calls == "pass" else profile.parallel_tool_calls
    return {name: False}
