"""Turns: the messages of a request with control blocks applied and same roles merged (section 3.0).

A turn holds located blocks, so that later steps can name the place in the
request. The request itself is never changed. Tool changes inside messages are
applied by the tool facet, which reads them from the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from gateway.conversion.request_context import Notes
from gateway.wire.messages import JSONObject

Role = Literal["user", "assistant", "system"]

# blocks that only steer Anthropic's servers, or echo what they did
_CONTROL: Final = frozenset(
    {"fallback", "mcp_tool_listing", "container_upload", "tool_addition", "tool_removal"}
)


class Located(NamedTuple):
    """A block and where it stands: number of its message, position in the content."""

    message: int
    position: int
    block: JSONObject

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
    messages: list[JSONObject], mid_system: str, notes: Notes, *, first: int = 0, more_of_user: bool = False
) -> list[Turn]:
    """The turns of checked `messages`, none of them empty.

    With `mid_system: user` system messages become reminders behind the content
    of a neighbouring user turn (section 3.1). `first`: the number of the first message
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


def _last_of_user(messages: list[JSONObject], first: int) -> int:
    return max((n for n, message in enumerate(messages, first) if message["role"] == "user"), default=-1)


def _located(number: int, message: JSONObject) -> list[Located]:
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


def _spoken(role: Role, number: int, message: JSONObject) -> Iterator[tuple[Role, list[Located]]]:
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
    reminder = {"type": "text", "text": f"<system-reminder>\n{text}\n</system-reminder>"}
    marker = blocks[-1].block.get("cache_control")
    if marker is not None:
        reminder["cache_control"] = marker
    return blocks[-1]._replace(block=reminder)
