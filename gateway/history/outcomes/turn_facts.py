"""What one request shows: the calls of its answer, the results in it, and what a person said (pure).

A request carries the whole conversation. New in it is its *tail*: the last assistant message, which is the
answer to an earlier request, and what follows. Texts of Claude Code that are known here were read in, or
recorded from, 2.1.197 and 2.1.332 (docs/outcomes.md, "What is counted").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple

from gateway.client_protocol.prompts import INSERTED, INTERRUPTED
from gateway.wire import jsontext

# messages after the last assistant message that are looked at; there are three at most in what was recorded
LONGEST_TAIL: Final = 12
# calls and results of one message that are told apart; the rest counts for nothing
MOST_CALLS: Final = 100
LONGEST_NAME: Final = 100
_DIGEST: Final = 12

# what the client puts in place of an answer, when an interrupted session is resumed
_NO_ANSWER: Final = "No response requested."
# how the result of a call begins that the person did not allow
_REJECTED: Final = "The user doesn't want to"
# the client's word for arguments that do not fit the tool's schema
_ARGUMENTS: Final = "InputValidationError"
# what is no turn of a person: what the client puts in, commands, and requests that the client makes itself
_CLIENTS: Final = (*INSERTED, "<command-", "<bash-", "<session>", "<transcript>")
# how far into a result its reason is looked for
_BEGINNING: Final = 400

End = Literal["ok", "error", "rejected", "arguments"]


class Call(NamedTuple):
    """A tool call of an answer.

    `id`: a digest of the call's id; `offered`: None when the tools are not known.
    """

    id: str
    tool: str
    offered: bool | None


class Result(NamedTuple):
    """The result of a call. `pair`: a digest of tool, arguments and result."""

    id: str
    tool: str
    end: End
    pair: str


class TurnFacts(NamedTuple):
    """`read`: False where the contents are not kept, and nothing else is known then.

    `anchor` names the assistant message at the beginning of the tail, "" without one. `markers`: how often
    the tail says that the person interrupted. `person`: names the message in which a person speaks, "" when
    none does.
    """

    read: bool = False
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()
    anchor: str = ""
    markers: int = 0
    person: str = ""

    def as_json(self) -> str:
        plain = [self.read, list(map(list, self.calls)), list(map(list, self.results)), *self[3:]]
        return jsontext.dumps(plain).decode()


UNREAD: Final = TurnFacts()


def from_json(text: str) -> TurnFacts:
    """What `as_json` made."""
    read, calls, results, anchor, markers, person = jsontext.loads(text)
    return TurnFacts(
        read,
        tuple(Call(*one) for one in calls),
        tuple(Result(*one) for one in results),
        anchor,
        markers,
        person,
    )


def turn_facts(
    tail: Sequence[tuple[bytes, Any]], answer: Mapping[str, Any] | None, offered: frozenset[str] | None
) -> TurnFacts:
    """The facts of a request with these last messages, each after the digest of its place in the
    conversation.

    `tail` begins with the last assistant message where there is one. `answer`: the message that the client
    got. Whatever clients sent may be in it, so no shape is taken for granted. Never raises for JSON values.
    """
    calls = tuple(_calls(answer, offered))
    anchor = ""
    asked: dict[str, dict[str, Any]] = {}
    rest = tail
    if tail and is_answer(tail[0][1]):
        anchor = tail[0][0].hex()[:_DIGEST]
        asked = {
            block["id"]: block for block in _blocks(tail[0][1], "tool_use") if type(block.get("id")) is str
        }
        rest = tail[1:]
    results: list[Result] = []
    markers, person = 0, ""
    for digest, message in rest:
        if _role(message) != "user":
            continue
        found = list(_results(message, asked))
        results += found
        said, number = _said(message, beside_results=bool(found))
        markers += number
        if said:
            person = digest.hex()[:_DIGEST]
    return TurnFacts(True, calls, tuple(results[:MOST_CALLS]), anchor, markers, person)


def is_answer(message: Any) -> bool:
    """Whether a message of a conversation is one that a model answered."""
    if _role(message) != "assistant":
        return False
    content = message.get("content")
    blocks = _list(content)
    said = content if type(content) is str else _text(blocks[0]) if len(blocks) == 1 else ""
    return said != _NO_ANSWER


def tool_names(tools: Any) -> frozenset[str]:
    """The names of a request's tools."""
    if type(tools) is not list:
        return frozenset()
    return frozenset(tool["name"] for tool in tools if type(tool) is dict and type(tool.get("name")) is str)


def _calls(answer: Mapping[str, Any] | None, offered: frozenset[str] | None) -> Iterable[Call]:
    if answer is None:
        return
    for block in _blocks(answer, "tool_use")[:MOST_CALLS]:
        name, call = block.get("name"), block.get("id")
        if type(name) is str and type(call) is str and call:
            yield Call(_id(call), name[:LONGEST_NAME], None if offered is None else name in offered)


def _results(message: Any, asked: Mapping[str, Mapping[str, Any]]) -> Iterable[Result]:
    for block in _blocks(message, "tool_result"):
        call = block.get("tool_use_id")
        use = asked.get(call) if type(call) is str else None
        if type(call) is str and use is not None:
            name = use.get("name")
            tool = name[:LONGEST_NAME] if type(name) is str else ""
            yield Result(_id(call), tool, _end(block), _pair(tool, use.get("input"), block.get("content")))


def _end(result: Mapping[str, Any]) -> End:
    if result.get("is_error") is not True:
        return "ok"
    content = result.get("content")
    text = content if type(content) is str else next((_text(one) for one in _list(content)), "")
    if text.startswith(_REJECTED):
        return "rejected"
    return "arguments" if _ARGUMENTS in text[:_BEGINNING] else "error"


def _pair(tool: str, arguments: Any, content: Any) -> str:
    # the same arguments may come in another order
    plain = dict(sorted(arguments.items())) if type(arguments) is dict else arguments
    return sha256(jsontext.dumps([tool, plain, content])).hexdigest()[:_DIGEST]


def _said(message: Any, *, beside_results: bool) -> tuple[bool, int]:
    """Whether a person speaks in a message, and how often it says that the person interrupted.

    Beside results stand texts of the client ("Tool loaded."); a person's only after an interruption.
    """
    content = message.get("content")
    texts = [content] if type(content) is str else [_text(block) for block in _blocks(message, "text")]
    markers, speaks = 0, False
    for text in texts:
        plain = text.strip()
        if plain.startswith(INTERRUPTED):
            markers += 1
        elif plain and not plain.startswith(_CLIENTS) and (markers or not beside_results):
            speaks = True
    if not texts:
        # a picture alone counts as speaking
        speaks = not beside_results and any(_blocks(message, kind) for kind in ("image", "document"))
    return speaks, markers


def _role(message: Any) -> str:
    role = message.get("role") if type(message) is dict else None
    return role if type(role) is str else ""


def _blocks(message: Any, kind: str) -> list[dict[str, Any]]:
    content = message.get("content") if isinstance(message, Mapping) else None
    return [block for block in _list(content) if type(block) is dict and block.get("type") == kind]


def _list(value: Any) -> list[Any]:
    return value if type(value) is list else []


def _text(block: Any) -> str:
    text = block.get("text") if type(block) is dict else None
    return text if type(text) is str else ""


def _id(call: str) -> str:
    # clients may send half a surrogate pair, which cannot be encoded as UTF-8
    return sha256(call.encode("utf-8", "replace")).hexdigest()[:_DIGEST]
