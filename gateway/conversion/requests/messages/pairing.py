"""Every tool call gets exactly one result, directly behind it (specification section 3.6).

Chat Completions refuses a history where that is not so, and interrupted
sessions leave such histories behind: they are repaired, or refused as
Anthropic's API does with `history: strict`. Calls and results are compared by
the ids the client sent.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from gateway import patterns
from gateway.conversion.request_context import RequestContext
from gateway.conversion.requests.messages.turns import Located, ToolAnswer, ToolCall, Turn
from gateway.conversion.tool_calls.call_ids import plain_id, upstream_id
from gateway.conversion.validation.shape_errors import refuse

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
        calls.append(ToolCall(located, _free_id(located, taken, context)))
        taken.add(calls[-1].upstream_id)
    return calls


def _free_id(located: Located, taken: set[str], context: RequestContext) -> str:
    plain = plain_id(located.block["id"])
    form = context.profile.tool_id_format
    chosen = upstream_id(plain, form)
    number = 2
    while chosen in taken:
        chosen = upstream_id(f"{plain}_{number}", form)
        number += 1
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
