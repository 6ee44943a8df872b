"""Thinking of the history on its way back upstream.

The text of a thinking block may go to any provider that wants thinking back;
the payload of its signature only to the provider and model that made it.

See docs/conversion.md, "Sending thinking back".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.conversion.block_kinds import becoming
from gateway.conversion.provider_state import Payload, is_ours
from gateway.conversion.request_context import RequestContext
from gateway.conversion.requests.messages.turns import Located, Turn

THINKING: Final = becoming("reasoning")


class Replayed(NamedTuple):
    """`fields` go onto the assistant message; `thinking_text` into its content, as a thinking part."""

    fields: dict[str, object]
    thinking_text: str | None


class _Thought(NamedTuple):
    text: str
    own: Payload | None  # payload of a signature made for this provider and model


def first_turn_in_scope(turns: Sequence[Turn], replay_scope: str, *, spoken_later: bool = False) -> int:
    """The index of the first turn whose thinking goes back (`replay_scope`).

    `spoken_later`: the user says more behind these turns.
    """
    if replay_scope != "tool_turns":
        return 0
    if spoken_later:
        return len(turns)
    return max((index for index, turn in enumerate(turns) if turn.speaks), default=-1) + 1


def replayed(turn: Turn, context: RequestContext, *, in_scope: bool) -> Replayed:
    """What the thinking blocks of an assistant turn add to its message."""
    blocks = [located for located in turn.blocks if located.block["type"] in THINKING]
    if not in_scope:
        if blocks:
            context.notes.add("dropped", blocks[0].path, "thinking before the last user message")
        return Replayed({}, None)
    wanted = context.profile.replay_fields
    thoughts = [_thought(located, context) for located in blocks]
    fields = _extras(thoughts, context.profile.message_extras)
    text = "\n".join(thought.text for thought in thoughts if thought.text)
    if blocks and not wanted:
        context.notes.add("dropped", blocks[0].path, "thinking: the provider wants none back")
    for name in wanted:
        if name == "reasoning_details":
            fields.update(_details(thoughts, fields))
            if "reasoning" in fields and "reasoning" not in (*context.profile.reasoning_in, *wanted):
                # who does not say it under this name does not take it either
                del fields["reasoning"]
                context.notes.add("dropped", blocks[0].path, "thinking of another provider")
        elif text and name != "content_parts":
            fields[name] = text
    placeholder = context.profile.reasoning_placeholder
    if "reasoning_content" in wanted and not text and turn.calls and placeholder is not None:
        fields["reasoning_content"] = placeholder
    return Replayed(fields, text if text and "content_parts" in wanted else None)


def _thought(located: Located, context: RequestContext) -> _Thought:
    block = located.block
    redacted = block["type"] == "redacted_thinking"
    seal = block.get("data" if redacted else "signature")
    payload = context.opaque.signature(seal)
    if payload is None:
        if is_ours(seal):
            context.notes.add("dropped", located.path, f"opaque reasoning data {context.opaque.reason}")
        elif redacted:
            context.notes.add("dropped", located.path, "redacted thinking of another provider")
        return _Thought("" if redacted else block["thinking"], None)
    hidden = payload.get("t")
    text = ("" if redacted else block["thinking"]) or (hidden if isinstance(hidden, str) else "")
    stranger = context.stranger(payload)
    if not stranger:
        return _Thought(text, payload)
    if payload.keys() & {"rd", "ec", "x"}:
        context.notes.add("dropped", located.path, f"opaque reasoning data of {stranger}")
    return _Thought(text, None)


def _details(thoughts: Iterable[_Thought], fields: Mapping[str, object]) -> dict[str, object]:
    """`reasoning_details` from the payloads that have them; `reasoning` with the text of the others."""
    details: list[Any] = []
    texts: list[str] = []
    for thought in thoughts:
        own = thought.own.get("rd") if thought.own else None
        if isinstance(own, list) and all(isinstance(detail, dict) for detail in own):
            details += own
        elif thought.text:
            texts.append(thought.text)
    added: dict[str, object] = {"reasoning_details": details} if details else {}
    if texts and "reasoning" not in fields:
        added["reasoning"] = "\n".join(texts)
    return added


def _extras(thoughts: Iterable[_Thought], names: tuple[str, ...]) -> dict[str, object]:
    extras: dict[str, object] = {}
    for thought in thoughts:
        carried = thought.own.get("x") if thought.own else None
        if isinstance(carried, dict):
            extras.update((name, carried[name]) for name in names if name in carried)
    return extras
