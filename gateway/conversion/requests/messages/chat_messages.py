"""Turns as chat messages (docs/conversion.md, "Turns", "Blocks of users", "Tool results" and "Prefill")."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from gateway.conversion.blocks.chat_parts import PARAGRAPH, content, joined, text_part
from gateway.conversion.request_context import RequestContext
from gateway.conversion.requests.messages.assistant_messages import assistant_message
from gateway.conversion.requests.messages.reasoning_replay import first_turn_in_scope
from gateway.conversion.requests.messages.system import mid_system_message
from gateway.conversion.requests.messages.turns import Turn
from gateway.conversion.requests.messages.user_content import HoistedParts, tool_message, user_parts
from gateway.conversion.validation.shape_errors import refuse
from gateway.errors import InvalidRequest
from gateway.wire.chat import ChatMessage, ChatPart, SpokenPart, ToolMessage

CONTINUING: Final = "(continuing)"


def chat_messages(
    turns: Sequence[Turn], context: RequestContext, *, spoken_later: bool = False
) -> list[ChatMessage]:
    """The chat messages of paired turns, without the leading system message.

    `spoken_later`: the user says more behind these turns. Raises InvalidRequest for
    blocks the provider does not take.
    """
    messages: list[ChatMessage] = []
    hoisted = HoistedParts()
    first_in_scope = first_turn_in_scope(turns, context.profile.replay_scope, spoken_later=spoken_later)
    for index, turn in enumerate(turns):
        if turn.role == "assistant":
            message = assistant_message(turn, context, in_scope=index >= first_in_scope)
            if message is not None:
                messages.append(message)
            messages += [tool_message(answer, hoisted, context) for answer in turn.answers]
        elif turn.role == "user":
            answers = index > 0 and bool(turns[index - 1].answers)
            parts = hoisted.taken() + user_parts(turn, context, answers=answers)
            if parts:
                _add_user_message(messages, parts, context)
        else:
            _make_room_behind_tools(messages, context)
            messages.append(mid_system_message(turn, context))
    _mark_ends(messages, context)
    return messages


def _mark_ends(messages: list[ChatMessage], context: RequestContext) -> None:
    """Mark what stands in front of each answer, and the end."""
    for message, behind in zip_longest(messages, messages[1:]):
        if message["role"] != "assistant" and (behind is None or behind["role"] == "assistant"):
            context.markers.end(message["content"])


def without_neighbours(messages: list[ChatMessage], context: RequestContext) -> list[ChatMessage]:
    """The messages with users in a row as one: nothing was left of the assistant's turn between them."""
    told: list[ChatMessage] = []
    for message in messages:
        last = told[-1] if told else None
        if last is not None and last["role"] == "user" and message["role"] == "user":
            context.notes.add("moved", "messages", "users were joined: nothing was left of the turn between")
            # the message may be cached for later requests
            told[-1] = {**last, "content": _both(last["content"], message["content"])}
        else:
            told.append(message)
    return told


def _both(one: str | list[ChatPart], other: str | list[ChatPart]) -> str | list[ChatPart]:
    if isinstance(one, str) and isinstance(other, str):
        return one + PARAGRAPH + other
    first: list[ChatPart] = [text_part(one)] if isinstance(one, str) else one
    return [*first, *([text_part(other)] if isinstance(other, str) else other)]


def refuse_nothing_said(messages: list[ChatMessage]) -> None:
    """Raises InvalidRequest when nothing of the user is left."""
    if not any(message["role"] in ("user", "tool") for message in messages):
        refuse("messages", "at least one message is required")


def apply_prefill(
    messages: list[ChatMessage], body: dict[str, object], context: RequestContext
) -> str | None:
    """Let the upstream continue a final assistant message; returns its text, None when there is none.

    Changes `messages` or `body` as the option `prefill` says. Raises InvalidRequest. See docs/conversion.md,
    "Prefill".
    """
    last = messages[-1]
    if last["role"] == "assistant" and last["content"] == "":
        context.notes.add(
            "dropped", "messages", "a last turn of thinking alone: there is no text to go on with"
        )
        messages.pop()
        last = messages[-1]
    if last["role"] != "assistant":
        return None
    form = context.profile.prefill
    if form == "reject":
        raise InvalidRequest(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    text = _text(last["content"])
    if text != text.rstrip():
        refuse("messages", "final assistant content cannot end with trailing whitespace")
    if form == "prefix":
        # the message may be cached for later requests
        messages[-1] = {**last, "prefix": True}
    elif form == "continue_final":
        body["continue_final_message"] = True
        body["add_generation_prompt"] = False
    return text


def _add_user_message(messages: list[ChatMessage], parts: list[ChatPart], context: RequestContext) -> None:
    last = messages[-1] if messages else None
    texts = [part for part in parts if part["type"] == "text"]
    joins = context.profile.assistant_after_tool and len(texts) == len(parts)
    if joins and last is not None and last["role"] == "tool":
        context.notes.add("moved", "messages", "user text behind tool results joined the last of them")
        _append_text(last, joined(texts))
        return
    _make_room_behind_tools(messages, context)
    always_parts = context.markers.in_lists or context.profile.content_parts == "always"
    messages.append({"role": "user", "content": content(parts, always_parts=always_parts)})


def _make_room_behind_tools(messages: list[ChatMessage], context: RequestContext) -> None:
    """Let an assistant message follow tool messages where nothing else may (`assistant_after_tool`)."""
    if context.profile.assistant_after_tool and messages and messages[-1]["role"] == "tool":
        context.notes.add("moved", "messages", "an assistant message was put between tool results and user")
        messages.append({"role": "assistant", "content": CONTINUING})


def _append_text(message: ToolMessage, text: str) -> None:
    if isinstance(message["content"], str):
        message["content"] += PARAGRAPH + text
    else:
        message["content"].append(text_part(text))


def _text(content: str | Sequence[ChatPart | SpokenPart] | None) -> str:
    if isinstance(content, str):
        return content
    return joined([part for part in content or () if part["type"] == "text"])
