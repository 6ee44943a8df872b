"""Turns: the messages of a request with control blocks applied and same roles merged.

A turn holds located blocks, so that later steps can name the place in the
request. Every tool call gets exactly one result directly behind it, because Chat Completions
refuses a history where that is not so; interrupted sessions leave such histories behind, and they
are repaired, or refused with `history: strict`.

The request itself is never changed. Tool changes inside messages are applied by the tool facet, which
reads them from the request.

See docs/conversion.md, "Turns" and "Calls without results".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from gateway import patterns
from gateway.conversion.block_kinds import becoming
from gateway.conversion.provider_state import OWN_ID
from gateway.conversion.request_context import Notes, RequestContext
from gateway.conversion.tool_calls.call_ids import plain_id, upstream_id
from gateway.conversion.validation.shape_errors import refuse
from gateway.wire.messages_request import RequestBlock, RequestMessage

_API_ID: Final = patterns.compiled(r"\A[a-zA-Z0-9_-]++\Z")


def pair(turns: list[Turn], context: RequestContext) -> None:
    """Fill `calls` and `answers` of the assistant turns, taking the results out of the user turns.

    Tool results which stay in a user turn answer no call. Raises InvalidRequest
    with `history: strict`.
    """
    strict = context.profile.history == "strict"
    asking: Turn | None = None
    between: Turn | None = None
    for turn in turns:
        if turn.role == "system":
            between = turn
            continue
        if turn.role == "assistant":
            _answer(asking, None, context, strict=strict)
            turn.calls = _calls(turn, context, strict=strict)
            asking, between = turn, None
        else:
            _answer(asking, turn, context, strict=strict)
            if asking is not None and asking.calls and between is not None:
                context.notes.add("moved", between.blocks[0].path, "system message moved behind tool results")
            asking = None
    _answer(asking, None, context, strict=strict)


def _calls(turn: Turn, context: RequestContext, *, strict: bool) -> list[ToolCall]:
    calls: list[ToolCall] = []
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    client_ids: set[str] = set()
    for located in turn.blocks:
        if located.block["type"] != "tool_use":
            continue
        client_id: str = located.block["id"]
        if strict and not _API_ID.match(client_id):
            refuse(f"{located.path}.tool_use.id", "String should match pattern '^[a-zA-Z0-9_-]+$'")
        if strict and client_id in client_ids:
            refuse(located.path, "`tool_use` ids must be unique")
        client_ids.add(client_id)
        calls.append(ToolCall(located, _free_id(located, taken, numbers, context)))
        taken.add(calls[-1].upstream_id)
    return calls


def _own_id(located: Located, plain: str, context: RequestContext) -> str:
    """The provider's own id of a call, where the client got another and the same model is asked; else ""."""
    client_id = located.block["id"]
    if plain == client_id or not plain.startswith(OWN_ID):
        return ""
    payload = context.opaque.call_id(client_id)[1]
    own = None if payload is None or context.stranger(payload) else payload.get("i")
    return own if isinstance(own, str) else ""


def _free_id(located: Located, taken: set[str], numbers: dict[str, int], context: RequestContext) -> str:
    """An id that no call of the turn has yet. `numbers`: where the search goes on for each id."""
    plain = plain_id(located.block["id"])
    form = context.profile.tool_id_format
    own = _own_id(located, plain, context)
    if own and form == "any" and own not in taken:
        return own
    chosen = upstream_id(plain, form)
    number = 2
    while chosen in taken:
        number = max(number, numbers.get(plain, 2))
        chosen = upstream_id(f"{plain}_{number}", form)
        number += 1
        numbers[plain] = number
    if number > 2:
        context.notes.add("repaired", located.path, "tool_use id used before in the same turn: made unique")
    elif chosen != plain:
        context.notes.add("renamed", located.path, "tool_use id rewritten to a form the provider takes")
    return chosen


def _answer(asking: Turn | None, replying: Turn | None, context: RequestContext, *, strict: bool) -> None:
    """Give the calls of `asking` their results from `replying`, the user turn behind it, if any."""
    waiting: dict[str, deque[ToolCall]] = {}
    for call in asking.calls if asking else ():
        waiting.setdefault(call.located.block["id"], deque()).append(call)
    if replying is not None:
        _take_results(asking, replying, waiting, context, strict=strict)
    unanswered = [call for calls in waiting.values() for call in calls]
    if asking is None or not unanswered:
        return
    if strict:
        ids = ", ".join(call.located.block["id"] for call in unanswered)
        refuse(
            f"messages.{unanswered[0].located.message}",
            f"`tool_use` ids were found without `tool_result` blocks immediately after: {ids}. Each "
            "`tool_use` block must have a corresponding `tool_result` block in the next message.",
        )
    for call in unanswered:
        context.notes.add("repaired", call.located.path, "tool call without a result: one was added")
        asking.answers.append(ToolAnswer(call, None))


def _take_results(
    asking: Turn | None,
    replying: Turn,
    waiting: dict[str, deque[ToolCall]],
    context: RequestContext,
    *,
    strict: bool,
) -> None:
    rest: list[Located] = []
    for located in replying.blocks:
        if located.block["type"] != "tool_result":
            rest.append(located)
            continue
        client_id: str = located.block["tool_use_id"]
        calls = waiting.get(client_id)
        if asking is not None and calls:
            asking.answers.append(ToolAnswer(calls.popleft(), located))
            if rest:
                context.notes.add("moved", rest[0].path, "content before a tool result now stands behind it")
        elif calls is not None:
            if strict:
                refuse(
                    located.path,
                    "each tool_use must have a single result. Found multiple `tool_result` blocks "
                    f"with id: {client_id}",
                )
            context.notes.add("repaired", located.path, "second result for the same tool call: left out")
        else:
            if strict:
                refuse(
                    located.path,
                    f"unexpected `tool_use_id` found in `tool_result` blocks: {client_id}. Each "
                    "`tool_result` block must have a corresponding `tool_use` block in the previous message.",
                )
            context.notes.add("repaired", located.path, "tool result without a call: became user text")
            rest.append(located)
    replying.blocks = rest


Role = Literal["user", "assistant", "system"]

_CONTROL: Final = becoming("control")


class Located(NamedTuple):
    """A block and where it stands: number of its message, position in the content."""

    message: int
    position: int
    block: RequestBlock

    @property
    def path(self) -> str:
        return f"messages.{self.message}.content.{self.position}"


class ToolCall(NamedTuple):
    """A `tool_use` block with the id it gets upstream and the opaque data its id brought along."""

    located: Located
    upstream_id: str


class ToolAnswer(NamedTuple):
    """The result of a call; None where the history has none."""

    call: ToolCall
    result: Located | None


@dataclass(slots=True)
class Turn:
    """One merged message.

    `speaks`: a user turn in which the user says more than tool results.
    `calls` and `answers` are filled by pairing, in an assistant turn: the tool
    results then stand here, and no longer in the user turn behind it.
    """

    role: Role
    blocks: list[Located]
    speaks: bool = False
    calls: list[ToolCall] = field(default_factory=list)
    answers: list[ToolAnswer] = field(default_factory=list)


def turns(
    messages: list[RequestMessage],
    mid_system: str,
    notes: Notes,
    *,
    first: int = 0,
    more_of_user: bool = False,
) -> list[Turn]:
    """The turns of checked `messages`, none of them empty.

    With `mid_system: user` system messages become reminders behind the content
    of a neighbouring user turn (docs/conversion.md, "System text"). `first`: the number of the first message
    in its request; `more_of_user`: messages of the user follow behind these.
    """
    script = _Script()
    last_user = first + len(messages) if more_of_user else _last_of_user(messages, first)
    for number, message in enumerate(messages, first):
        role: Role = message["role"]
        if role != "system":
            for part_role, blocks in _spoken(role, number, message):
                script.add(part_role, blocks, speaks=role == "user")
        elif not (message.get("clear_at") == "next_user_message" and number < last_user):
            blocks = [located for located in _located(number, message) if located.block["text"].strip()]
            if blocks and mid_system == "user":
                notes.add("moved", blocks[0].path, "system message sent as a reminder in user text")
                script.remind(_reminder(blocks))
            elif blocks:
                script.turns.append(Turn("system", blocks))
    return script.finished()


class _Script:
    """Collects turns, merging neighbours of the same role."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._reminders: list[Located] = []

    def add(self, role: Role, blocks: list[Located], *, speaks: bool) -> None:
        if role == "assistant":
            self._flush()
        last = self.turns[-1] if self.turns else None
        if last is None or last.role != role:
            last = Turn(role, [])
            self.turns.append(last)
        last.blocks += blocks
        if role == "user":
            last.speaks |= speaks and any(located.block["type"] != "tool_result" for located in blocks)
            self._flush()

    def remind(self, reminder: Located) -> None:
        if self.turns and self.turns[-1].role == "user":
            self.turns[-1].blocks.append(reminder)
        else:
            # the next user turn says its own content first
            self._reminders.append(reminder)

    def finished(self) -> list[Turn]:
        self._flush()
        return self.turns

    def _flush(self) -> None:
        if not self._reminders:
            return
        if not self.turns or self.turns[-1].role != "user":
            self.turns.append(Turn("user", []))
        self.turns[-1].blocks += self._reminders
        self._reminders = []


def _last_of_user(messages: list[RequestMessage], first: int) -> int:
    return max((n for n, message in enumerate(messages, first) if message["role"] == "user"), default=-1)


def _located(number: int, message: RequestMessage) -> list[Located]:
    """The blocks of a message without control blocks and empty texts."""
    content: Any = message.get("content")
    if not content:
        return []
    if type(content) is str:
        return [Located(number, 0, {"type": "text", "text": content})]
    return [
        Located(number, position, block)
        for position, block in enumerate(content)
        if block["type"] not in _CONTROL and (block["type"] != "text" or block["text"])
    ]


def _spoken(role: Role, number: int, message: RequestMessage) -> Iterator[tuple[Role, list[Located]]]:
    """The content of a message, cut where a compaction summary makes a user message of its own."""
    blocks: list[Located] = []
    for located in _located(number, message):
        if located.block["type"] != "compaction":
            blocks.append(located)
        elif located.block.get("content"):
            if blocks:
                yield role, blocks
            yield "user", [located]
            blocks = []
    if blocks:
        yield role, blocks


def _reminder(blocks: list[Located]) -> Located:
    text = "\n\n".join(located.block["text"] for located in blocks)
    reminder: RequestBlock = {"type": "text", "text": f"<system-reminder>\n{text}\n</system-reminder>"}
    marker = blocks[-1].block.get("cache_control")
    if marker is not None:
        reminder["cache_control"] = marker
    return blocks[-1]._replace(block=reminder)
