"""Which tools the model may see.

The API keeps tools out of the prompt until something loads them. Chat has only one list, so the list in
force at the end of the conversation is sent.

See docs/conversion.md, "Which tools are sent".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.tool_calls.names import may_be_renamed
from gateway.conversion.validation.shape_errors import LIST, OBJECT, TEXT, refuse, refuse_tag, required_object
from gateway.errors import InvalidRequest
from gateway.values import frozen
from gateway.wire.messages_request import MessagesRequest

# Claude Code's stand-in for "some tools are not loaded yet"; the client manages the loading itself.
PLACEHOLDER: Final = "DeferredToolPlaceholder"
_CHANGE_TAGS: Final = ("tool_reference", "tool_definition", "mcp_tool_reference", "mcp_toolset_reference")
TOOL_SEARCH: Final = ("tool_search_tool_regex", "tool_search_tool_bm25")


class Declared(NamedTuple):
    """A tool of the request and its path: `tools.3`, or that of the block which added it."""

    path: str
    tool: dict[str, Any]


@frozen
class ToolHistory:
    """What the messages say about tools, in one pass.

    `called`: names of tool_use blocks, members of toolsets in their composed form;
    `renamed`: those of them that go upstream under another name.
    `loaded`: names in tool_reference blocks. `changes`: tool_addition and
    tool_removal blocks in order, with their paths.
    """

    called: frozenset[str]
    renamed: frozenset[str]
    loaded: frozenset[str]
    changes: tuple[tuple[str, dict[str, Any]], ...]

    @classmethod
    def of(cls, messages: object, first: int = 0) -> ToolHistory:
        """`first`: the number of the first of these messages in its request."""
        called: set[str] = set()
        loaded: set[str] = set()
        changes: list[tuple[str, dict[str, Any]]] = []
        for position, index, block in _blocks(messages, first):
            match block.get("type"):
                case "tool_use":
                    called.add(called_name(block))
                case "tool_result":
                    loaded.update(_referenced(block.get("content")))
                case "tool_search_tool_result":
                    content = block.get("content")
                    if type(content) is dict:
                        loaded.update(_referenced(content.get("tool_references")))
                case "tool_addition" | "tool_removal":
                    changes.append((f"messages.{position}.content.{index}", block))
                case "compaction":
                    tool_changes = block.get("tool_changes")
                    if type(tool_changes) is list:
                        where = f"messages.{position}.content.{index}.compaction.tool_changes"
                        changes += [(where, change) for change in tool_changes if _is_change(change)]
        renamed = frozenset(name for name in called if may_be_renamed(name))
        return cls(frozenset(called), renamed, frozenset(loaded), tuple(changes))

    @classmethod
    def joined(cls, histories: Sequence[ToolHistory]) -> ToolHistory:
        """What consecutive messages say together."""
        if len(histories) == 1:
            return histories[0]
        nothing: frozenset[str] = frozenset()
        return cls(
            nothing.union(*[history.called for history in histories]),
            nothing.union(*[history.renamed for history in histories]),
            nothing.union(*[history.loaded for history in histories]),
            tuple([change for history in histories for change in history.changes]),
        )


def loaded_by(result: Mapping[str, object]) -> list[str]:
    """The names of the tools that a tool_result block loads."""
    return list(_referenced(result.get("content")))


def late_names(request: MessagesRequest, history: ToolHistory, profile: Profile) -> frozenset[str]:
    """Tools that were not in the list before a result loaded them, where the protocol has room for them."""
    if profile.protocol != "responses" or profile.late_tools == "list" or not history.loaded:
        return frozenset()
    if profile.deferred_tools == "expose":
        return frozenset()
    tools = request.get("tools")
    if type(tools) is not list:
        return frozenset()
    waits = any(tool.get("name") == PLACEHOLDER for tool in tools)
    return frozenset(str(tool.get("name")) for tool in tools if waits or _deferred(tool)) & history.loaded


def called_name(tool_use: Mapping[str, object]) -> str:
    """The tool a tool_use block of the history calls; a toolset's member in its composed form.

    See docs/conversion.md, "Client tools".
    """
    name = tool_use.get("name")
    if type(name) is not str:
        return ""
    toolset = tool_use.get("toolset_name")
    return composed_name(toolset, name) if type(toolset) is str and toolset else name


def composed_name(toolset: str, member: str) -> str:
    """The function name of one member of an Anthropic toolset (docs/conversion.md, "Client tools")."""
    return f"{toolset}__{member}"


def exposed_tools(
    request: MessagesRequest, history: ToolHistory, profile: Profile, ledger: Ledger
) -> list[Declared]:
    """The tools in force, in order, without those the model may not see.

    Server tools stay in; whoever converts them decides. Raises InvalidRequest for
    duplicate names and for a change that names an unknown tool.
    """
    declared = _declared(request.get("tools"))
    tools, added = _after_changes(declared, history)
    wanted = history.called | history.loaded | added | chosen_names(request)
    show_all = _shows_all(tools, wanted, profile)
    exposed = []
    for path, tool in tools:
        callers = tool.get("allowed_callers")
        if type(callers) is list and "direct" not in callers:
            ledger.dropped(path, "only callable from code execution")
        elif tool.get("name") == PLACEHOLDER:
            continue
        elif show_all or not _deferred(tool) or tool.get("name") in wanted:
            exposed.append(Declared(path, tool))
    return exposed


def chosen_names(request: MessagesRequest) -> frozenset[str]:
    """The name in tool_choice, if any."""
    choice = request.get("tool_choice")
    name = choice.get("name") if type(choice) is dict else None
    return frozenset({name}) if type(name) is str else frozenset()


def _declared(tools: object) -> list[Declared]:
    if tools is None:
        return []
    if type(tools) is not list:
        refuse("tools", LIST)
    names = set()
    declared = []
    for index, tool in enumerate(tools):
        if type(tool) is not dict:
            refuse(f"tools.{index}", OBJECT)
        name = _name_of(f"tools.{index}", tool)
        if name is not None:
            if name in names:
                refuse("tools", "Tool names must be unique.")
            names.add(name)
        declared.append(Declared(f"tools.{index}", tool))
    return declared


def _name_of(path: str, tool: Mapping[str, Any]) -> str | None:
    """The tool's name, None without one. Raises InvalidRequest when it is no string.

    Who needs a name asks for it later; here names are looked up, and what is no string may not be hashable.
    """
    name = tool.get("name")
    if name is None or type(name) is str:
        return name
    kind = tool.get("type")
    tag = kind if type(kind) is str and kind else "custom"
    refuse(f"{path}.{tag}.name", TEXT)


def _shows_all(tools: list[Declared], wanted: Collection[str], profile: Profile) -> bool:
    """Whether deferred tools are shown without being referenced."""
    if profile.deferred_tools == "expose":
        return True
    for _, tool in tools:
        # Only a search on Anthropic's servers would load them, or the client loads them itself.
        if str(tool.get("type")).startswith(TOOL_SEARCH) or tool.get("name") == PLACEHOLDER:
            return True
    return all(_deferred(tool) and tool.get("name") not in wanted for _, tool in tools)


def _deferred(tool: dict[str, Any]) -> bool:
    return tool.get("defer_loading") is True


def _after_changes(tools: list[Declared], history: ToolHistory) -> tuple[list[Declared], set[str]]:
    """Apply additions and removals in order: (tools in force, names that were added)."""
    if not history.changes:
        return tools, set()
    known = {str(tool.get("name") or path): Declared(path, tool) for path, tool in tools}
    removed: set[str] = set()
    added: set[str] = set()
    for path, block in history.changes:
        name = _changed_tool(path, block, known)
        if name is None:
            continue
        if block["type"] == "tool_removal":
            removed.add(name)
            added.discard(name)
        else:
            removed.discard(name)
            added.add(name)
    return [declared for name, declared in known.items() if name not in removed], added


def _changed_tool(path: str, block: dict[str, Any], known: dict[str, Declared]) -> str | None:
    """The name of the changed tool, its definition noted in `known`; None for MCP references."""
    change = required_object(block, "tool", path)
    path = f"{path}.tool"
    kind = change.get("type")
    if kind in ("mcp_tool_reference", "mcp_toolset_reference"):
        return None
    if kind == "tool_definition" and block["type"] == "tool_addition":
        definition = required_object(change, "definition", path)
        path = f"{path}.definition"
        name = _name_of(path, definition) or path
        known[name] = Declared(path, definition)
        return name
    if kind != "tool_reference":
        refuse_tag(path, kind, _CHANGE_TAGS)
    name = str(change.get("name"))
    if name not in known:
        raise InvalidRequest(
            f"{path}: tool '{name}' not found in provided tools",
            details={"error_code": "tool_reference_unresolved"},
        )
    return name


def _is_change(change: object) -> bool:
    return type(change) is dict and change.get("type") in ("tool_addition", "tool_removal")


def _blocks(messages: object, first: int) -> Iterator[tuple[int, int, dict[str, Any]]]:
    for position, message in enumerate(messages if type(messages) is list else (), first):
        content = message.get("content") if type(message) is dict else None
        if type(content) is list:
            for index, block in enumerate(content):
                if type(block) is dict:
                    yield position, index, block


def _referenced(content: object) -> Iterator[str]:
    for block in content if type(content) is list else ():
        if type(block) is dict and type(block.get("tool_name")) is str:
            yield block["tool_name"]
