"""Tool calls of the upstream as tool_use blocks.

See docs/conversion.md, "Tool calls", "Calls in a stream" and "Ids of calls".
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
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
_NAMESPACE: Final = patterns.compiled(r"\A(?:functions?|default_api|tools?|api|mcp)(?:::|[./:])")
_AROUND: Final = " \t\r\n`'\"()"
_OBJECT_BEGINS: Final = ("{", "```", " {", "\n{")
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

    `choice`: the one that it belongs to. Each counts its calls from 0. `whole`: no entry goes on later.
    """
    calls = message.get("tool_calls")
    if type(calls) is dict:
        calls = [calls]
    if calls and type(calls) is list:
        return [_piece(call, choice, named=whole) for call in calls if type(call) is dict]
    legacy = message.get("function_call")
    return [_piece({"index": 0, "function": legacy}, choice)] if type(legacy) is dict else []


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

    Arguments in the name count where the call has none of its own.
    """
    if type(name) is str and not name.startswith(_OBJECT_BEGINS):
        return name, arguments
    inner = object_of(input_of(name)[0] if isinstance(name, str) else name)
    while isinstance(inner.get("function"), dict):
        inner = inner["function"]
    found = inner.get("name") or inner.get("function")
    if type(found) is not str:
        return text_of(name), arguments
    own = _arguments_of(inner)
    none = not arguments or (type(arguments) is str and (arguments.isspace() or is_placeholder(arguments)))
    return found, own if none and own else arguments


def _bare(name: str) -> str:
    """A name without what servers and models write around it: quotes, a namespace, a number."""
    name = name.rpartition("to=")[2].strip(_AROUND)
    front, _, number = name.rpartition(":")
    name = front if front and number.isdecimal() else name
    return _NAMESPACE.sub("", name, count=1)


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
        bare = next((found for piece in _TOKEN.split(name) if (found := _bare(piece)) in offered), "")
        if not bare:
            alike = [tool for tool in offered if tool.lower() == _bare(name).lower()]
            bare = alike[0] if len(alike) == 1 else ""
        return bare or name

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
