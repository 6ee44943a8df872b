"""One tool as chat functions (docs/conversion.md, "Fields of a tool" and "Client tools")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.tool_calls.names import upstream_name
from gateway.conversion.tools.client_tools import client_tools
from gateway.conversion.tools.exposure import Declared
from gateway.conversion.tools.schema_walk import properties_of
from gateway.conversion.tools.schemas import schema_rewrites, tool_parameters
from gateway.conversion.tools.strict_schemas import is_strict_compatible
from gateway.conversion.validation.block_checks import check_cache_control
from gateway.conversion.validation.shape_errors import (
    LIST,
    OBJECT,
    TEXT,
    optional,
    refuse,
    required_object,
    required_string,
)
from gateway.wire import jsontext
from gateway.wire.chat import ChatFunction, FunctionTool
from gateway.wire.messages import JSONObject

_LEGAL_NAME: Final = "^[a-zA-Z0-9_-]{1,128}$"


@dataclass(frozen=True, slots=True)
class Function:
    """A function as declared, before it is adapted to a provider.

    `declared` is the client's name for it, `name` the one sent upstream, `tool` the declaration it comes
    from,
    `toolset` (member, toolset name) or None.
    """

    path: str
    declared: str
    name: str
    description: str | None
    schema: JSONObject
    tool: JSONObject
    toolset: tuple[str, str] | None = None


class ChatTool(NamedTuple):
    """`entry` of the chat request's list; `system_text` is the full description when that was too long."""

    entry: FunctionTool
    system_text: str | None


def declared_functions(declared: Declared, names: str = "any") -> list[Function] | None:
    """The functions of a custom or Anthropic-defined client tool; None for any other tool.

    `names`: the form of names (`tool_name_format`). Raises InvalidRequest for mistakes of shape.
    """
    path, tool = declared
    check_cache_control(tool, path)
    kind = tool.get("type")
    if kind is not None and type(kind) is not str:
        refuse(f"{path}.type", TEXT)
    if kind is None or kind == "custom":
        return [_custom(path, tool, names)]
    return _anthropic_defined(path, tool, names)


def chat_tool(function: Function, profile: Profile, ledger: Ledger) -> ChatTool:
    """The function adapted to the provider. Raises InvalidRequest when its schema cannot be used."""
    path, tool = function.path, function.tool
    description, system_text = _description(function, profile.tool_description_max, ledger)
    written: ChatFunction = {"name": function.name}
    if description is not None:
        written["description"] = description
    try:
        parameters = _parameters(function, profile, ledger)
        strict = (
            tool.get("strict") is True and profile.strict_tools == "auto" and is_strict_compatible(parameters)
        )
    except RecursionError:
        refuse(f"{path}.custom.input_schema", "nested too deeply")
    # Gemini refuses an object without properties; omitting the parameters means the same
    if properties_of(parameters) or "gemini" not in profile.schema_rewrites:
        written["parameters"] = parameters
    if strict:
        written["strict"] = True
    elif tool.get("strict") is True:
        ledger.dropped(f"{path}.strict", "the provider takes no strict for this schema")
    entry: FunctionTool = {"type": "function", "function": written}
    if profile.cache_control == "keep" and tool.get("cache_control") is not None:
        entry["cache_control"] = tool["cache_control"]
    if function.name != function.declared:
        ledger.renamed(f"{path}.name", f"sent as {function.name}")
    return ChatTool(entry, system_text)


def description_text(function: Function) -> str | None:
    """The description with the example inputs below it."""
    examples = function.tool.get("input_examples")
    if not examples:
        return function.description
    lines = "\n".join(jsontext.dumps_text(example) for example in examples)
    return f"{function.description or ''}\n\nExample inputs:\n{lines}".lstrip("\n")


def _custom(path: str, tool: JSONObject, names: str) -> Function:
    path_of_fields = f"{path}.custom"
    name = required_string(tool, "name", path_of_fields)
    if not name:
        refuse(f"{path_of_fields}.name", f"String should match pattern '{_LEGAL_NAME}'")
    optional(tool.get("description"), str, f"{path_of_fields}.description", TEXT)
    schema = required_object(tool, "input_schema", path_of_fields)
    _check_examples(tool, path_of_fields)
    return Function(path, name, upstream_name(name, names), tool.get("description"), schema, tool)


def _anthropic_defined(path: str, tool: JSONObject, names: str) -> list[Function] | None:
    found = client_tools(tool)
    if found is None:
        return None
    _check_examples(tool, f"{path}.{tool['type']}")
    functions = []
    for each in found:
        # the API requires the usual name; a client that uses another one gets that back
        declared = tool.get("name") if each.toolset is None else None
        name = declared if type(declared) is str and declared else each.name
        functions.append(
            Function(
                path, name, upstream_name(name, names), each.description, each.parameters, tool, each.toolset
            )
        )
    return functions


def _check_examples(tool: JSONObject, path: str) -> None:
    examples = tool.get("input_examples")
    optional(examples, list, f"{path}.input_examples", LIST)
    for position, example in enumerate(examples or ()):
        if type(example) is not dict:
            refuse(f"{path}.input_examples.{position}", OBJECT)


def _description(function: Function, longest: int | None, ledger: Ledger) -> tuple[str | None, str | None]:
    """(description sent, full text for the system text when it was cut)."""
    text = description_text(function)
    if text is None or longest is None or len(text) <= longest:
        return text, None
    cut = text[: longest + 1].rsplit(None, 1)[0] if " " in text[:longest] else text
    ledger.moved(
        f"{function.path}.description", "too long for the provider: the full text is in the system text"
    )
    return cut[:longest], f"## Tool: {function.name}\n\n{text}"


def _parameters(function: Function, profile: Profile, ledger: Ledger) -> JSONObject:
    try:
        fitted = tool_parameters(function.schema)
    except ValueError:
        refuse(f"{function.path}.custom.input_schema.type", "Input should be 'object'")
    sent = schema_rewrites(fitted.schema, profile.schema_rewrites)
    if fitted.refit or sent is not fitted.schema:
        ledger.refit(f"{function.path}.input_schema", "the schema was rewritten for the provider")
    return sent
