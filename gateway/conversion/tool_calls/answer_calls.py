"""Tool calls of the upstream as tool_use blocks.

See docs/conversion.md, "Tool calls", "Calls in a stream" and "Ids of calls".
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Final, NamedTuple

from gateway import patterns
from gateway.conversion import provider_state, repairs
from gateway.conversion.context import AnswerContext
from gateway.conversion.ledger import Ledger
from gateway.conversion.tool_calls.arguments import input_of
from gateway.conversion.tool_calls.object_reader import is_placeholder
from gateway.wire.lenient import object_of, text_of
from gateway.wire.messages import JSONObject, ToolUse

# special tokens of chat templates, and tags around a name
_TOKEN: Final = patterns.compiled(
    r"<[|\uff5c][a-z_\u2581]{1,40}+[|\uff5c]>|</?[a-z_]{1,40}+[>=]|/?>", patterns.IGNORECASE
)
# the words of a name, each with the sign of a namespace or attribute behind it
_NAME_WORD: Final = patterns.compiled(r"([A-Za-z0-9_-]++)\s*+(::|[./:=])?")
_JOINED: Final = patterns.compiled(r"\A(?:functions?|default_api|tool_call|call)_")
# words that templates write around a name
_NO_NAMES: Final = frozenset(
    {
        "assistant",
        "analysis",
        "code",
        "commentary",
        "constrain",
        "final",
        "function",
        "functions",
        "invoke",
        "json",
        "name",
        "to",
        "tool",
        "tool_call",
        "tool_name",
    }
)
_OBJECT_BEGINS: Final = ("{", "```", " {", "\n{")
_NAMESPACES: Final = frozenset(
    {"api", "browser", "default_api", "mcp", "multi_tool_use", "python", "repo_browser", "tools"}
)
_CALL_PARTS: Final = frozenset({"tool_use", "tool_call", "function_call"})
# arguments in the words of a template, in the place of a name
_TAGGED: Final = patterns.compiled(r"<(?:arg_key>|arg_value>|parameter[=\s])", patterns.IGNORECASE)
_LEGAL_ID: Final = patterns.compiled(r"\A[A-Za-z0-9_-]++\Z")


class CallPiece(NamedTuple):
    """What one entry of tool_calls says: a whole call, or a fragment of one.

    `named`: the name is whole, so the call can be shown before its first arguments.
    """

    key: Hashable
    call_id: str
    name: str
    arguments: object
    freeform: bool
    raw: Mapping[str, object]
    named: bool = False


def pieces_of(message: Mapping[str, object], choice: int = 0, *, whole: bool = False) -> list[CallPiece]:
    """The calls of a message, or the fragments of a delta; the legacy function_call is call 0.

    Servers that translate from Anthropic's API leave them among the parts of the content.

    `choice`: the one that it belongs to. Each counts its calls from 0. `whole`: no entry goes on later.
    """
    calls = message.get("tool_calls")
    if type(calls) is dict:
        calls = [calls]
    if calls and type(calls) is list:
        return [_piece(call, choice, named=whole) for call in calls if type(call) is dict]
    legacy = message.get("function_call")
    if type(legacy) is dict:
        return [_piece({"index": 0, "function": legacy}, choice)]
    content = message.get("content")
    if type(content) is not list:
        return []
    parts = (part for part in content if type(part) is dict and part.get("type") in _CALL_PARTS)
    return [_piece(part, choice, named=whole) for part in parts]


def _piece(call: Mapping[str, object], choice: int, *, named: bool = False) -> CallPiece:
    function = call.get("function")
    custom = call.get("custom")
    body: Mapping[str, object]
    freeform = False
    if type(function) is dict:
        body = function
    elif type(custom) is dict:
        body, freeform = custom, True
    else:
        # a few servers leave the inner object out, or all of it but the name
        body = call if function is None else {"name": function, **call}
    key, call_id = call.get("index"), call.get("id")
    key = key if type(key) is int or type(key) is str else None
    arguments = body.get("input") if freeform else _arguments_of(body)
    name, arguments = name_and_arguments(body.get("name"), arguments)
    return CallPiece(
        (choice, key) if choice and key is not None else key,
        call_id if type(call_id) is str else "",
        name,
        arguments,
        freeform,
        call,
        named,
    )


def name_and_arguments(name: object, arguments: object) -> tuple[str, object]:
    """The name and the arguments of a call whose name may be the call once more, as an object or its text.

    Arguments in the name, or behind it, count where the call has none of its own.
    """
    if type(name) is str and not name.startswith(_OBJECT_BEGINS):
        if "{" not in name and "<" not in name:
            return name, arguments
        return _parted(name, arguments)
    inner = object_of(input_of(name)[0] if isinstance(name, str) else name)
    while isinstance(inner.get("function"), dict):
        inner = inner["function"]
    found = inner.get("name") or inner.get("function")
    if type(found) is not str:
        return text_of(name), arguments
    own = _arguments_of(inner)
    return found, own if _none(arguments) and own else arguments


def _parted(name: str, arguments: object) -> tuple[str, object]:
    """A name with the arguments behind it, readable or not: they are judged like any others."""
    tagged = _TAGGED.search(name)
    begin = len(name) if tagged is None else tagged.start()
    brace = name.find("{", 0, begin)
    begin = brace if brace >= 0 else begin
    if not name[:begin].strip() or begin == len(name):
        return name, arguments
    return name[:begin], name[begin:] if _none(arguments) else arguments


def _none(arguments: object) -> bool:
    return not arguments or (type(arguments) is str and (arguments.isspace() or is_placeholder(arguments)))


def tool_in(name: str, offered: Collection[str]) -> str:
    """The one of the tools that were sent that `name` can only mean; "" when that is none, or not clear.

    Servers leave tokens of a template, quotes, a namespace and a number around a name. Nothing else may
    stand there: a name with other words is that of a tool that the model made up.
    """
    if name.lstrip().startswith(("{", "[")):
        return ""
    bare = _TOKEN.sub(" ", name)
    joined = _JOINED.sub("", bare.strip(), count=1)
    if joined in offered:
        return joined
    words = list(_NAME_WORD.finditer(bare))
    found = {word[1] for word in words if word[1] in offered}
    if not found:
        folded: dict[str, list[str]] = {}
        for tool in offered:
            folded.setdefault(tool.lower(), []).append(tool)
        alike = {word[1]: folded[word[1].lower()] for word in words if word[1].lower() in folded}
        found = {tool for tools in alike.values() for tool in tools}
    if len(found) != 1:
        return ""
    [tool] = found
    rest = [word for word in words if word[1].lower() != tool.lower()]
    spare = all(
        word[1].isdecimal() or word[1].lower() in _NO_NAMES or (word[2] and word[1].lower() in _NAMESPACES)
        for word in rest
    )
    return tool if spare else ""


def _arguments_of(body: Mapping[str, object]) -> object:
    """The arguments of a call; some servers name them as the tool's schema, or as Anthropic does."""
    return next((body[name] for name in ("arguments", "parameters", "input") if name in body), None)


class CallBlocks:
    """Makes the tool_use blocks of one answer: the client's names, unique ids, opaque data in the ids."""

    __slots__ = ("_context", "_ledger", "_used", "names")

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        self._context = context
        self._ledger = ledger
        self._used: dict[str, None] = {}
        self.names: list[str] = []  # tools called, in the client's words

    def extras(self, raw: Mapping[str, object]) -> JSONObject:
        """The opaque data of a call or fragment that the provider wants back."""
        keys = self._context.profile.tool_call_extras
        return {key: raw[key] for key in keys if raw.get(key) is not None} if keys else {}

    def block(self, name: str, call_id: str, extras: Mapping[str, object]) -> ToolUse:
        """The content block of a call, with an empty input."""
        own_id = self._id(call_id, extras)
        name = self._meant(name)
        toolset = self._context.tools.toolsets.get(name)
        if toolset is None:
            name = self._context.tools.original_names.get(name, name)
            self.names.append(name)
            return {"type": "tool_use", "id": own_id, "name": name, "input": {}}
        name, toolset_name = toolset
        self.names.append(name)
        return {
            "type": "tool_use",
            "id": own_id,
            "name": name,
            "toolset_name": toolset_name,
            "caller": {"type": "direct"},
            "input": {},
        }

    def same_tool(self, one: str, other: str) -> bool:
        """Whether two names are those of one tool, whatever stands around them."""
        return one == other or self._found(one) == self._found(other)

    def _meant(self, name: str) -> str:
        """The tool that was sent, where a server left tokens of its template or blanks around the name."""
        found = self._found(name)
        if found != name:
            self._ledger.repair(repairs.TOOL_NAME)
        return found

    def _found(self, name: str) -> str:
        offered = self._context.tools.offered
        if not offered or name in offered:
            return name
        return tool_in(name, offered) or name

    def _id(self, call_id: str, extras: Mapping[str, object]) -> str:
        carried: JSONObject = {"x": extras} if extras else {}
        again = call_id in self._used
        if not _LEGAL_ID.match(call_id) or again or provider_state.ID_MARK in call_id:
            if call_id and not again and provider_state.ID_MARK not in call_id:
                # some providers put state into their ids, or expect their form, when they read the history
                carried["i"] = call_id
            if call_id:
                self._ledger.repair(repairs.CALL_ID_REPLACED)
            else:
                self._ledger.repair(repairs.CALL_ID_MADE)
            self._used[call_id] = None
            call_id = self._context.new_id(provider_state.OWN_ID)
        self._used[call_id] = None
        if not carried:
            return call_id
        profile = self._context.profile
        model = profile.upstream_model or self._context.model
        payload = {"p": profile.provider, "m": model, **carried}
        marked = provider_state.id_with(call_id, payload, self._context.seal)
        if marked is None:
            self._ledger.dropped("content.tool_use.id", "the provider's opaque data is too large to carry")
        return marked or call_id

    def nameless(self) -> None:
        """A call without a name cannot be made."""
        self._ledger.repair(repairs.CALL_NAMELESS)

    def cut_off(self) -> None:
        """A call that the provider's content filter left incomplete."""
        self._ledger.repair(repairs.CALL_CUT)

    def surplus(self) -> None:
        """A call after the first, when parallel calls were switched off."""
        self._ledger.repair(repairs.CALL_SURPLUS)

    def late_extras(self) -> None:
        """Opaque data came when the id had been sent already."""
        self._ledger.repair(repairs.STATE_LATE)

    def assembled(self) -> None:
        """A fragment was given to its call against its id or index."""
        self._ledger.repair(repairs.CALL_ASSEMBLED)

    def repeated(self) -> None:
        """The same call was said twice."""
        self._ledger.repair(repairs.CALL_REPEATED)

    def another(self) -> None:
        """What looked like a repetition is a call of its own."""
        self._ledger.repair(repairs.CALL_SPLIT)

    def placeholder(self) -> None:
        """Something stood in front of the arguments that is none."""
        self._ledger.repair(repairs.PLACEHOLDER)

    def repaired(self) -> None:
        self._ledger.repair(repairs.ARGUMENTS)
