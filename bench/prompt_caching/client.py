"""Claude Code as far as it makes requests: the head of a recorded one, and a conversation that grows."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Final

from bench.prompt_caching.sessions import Begin, Step

JSONObject = dict[str, Any]
CAPTURES: Final = Path(__file__).parent.parent.parent / "tests" / "captures"
_MARK: Final = {"type": "ephemeral"}
_SUMMARY: Final = "Write a summary of this conversation: what was asked, what was done, what is left. " * 60


class Agent:
    """The conversation of one agent of a client."""

    def __init__(self, begin: Begin, session_id: str, late_tools: tuple[str, ...] = ()) -> None:
        self.name = begin.agent
        self.session_id = session_id
        captured = json.loads((CAPTURES / f"{begin.capture}.request.json").read_text())
        self._head = {name: value for name, value in captured.items() if name != "messages"}
        # each conversation has a billing line of its own
        attribution = f"x-anthropic-billing-header: cc_version=2.1.330.{len(begin.prompt) % 4096:03x};"
        self._head["system"] = [{"type": "text", "text": attribution}, *captured["system"][1:]]
        self._head["metadata"] = {"user_id": json.dumps({"device_id": "d" * 64, "session_id": session_id})}
        self._head["tools"] = captured["tools"] + [_late_tool(name) for name in late_tools]
        self._first = [copy.deepcopy(message) for message in captured["messages"][:2]]
        for message in self._first:
            unmark(message)
        self._first[0]["content"][-1]["text"] = begin.prompt
        self._marks_system = isinstance(captured["messages"][1]["content"], list)
        self.messages = list(self._first)
        self.subagent = "cc_is_subagent" in captured["system"][0]["text"]

    def goes_on_with(self, other: Agent) -> None:
        self.messages = list(other.messages)
        # the billing line is made from a conversation's first words
        self._head["system"] = other._head["system"]

    @property
    def headers(self) -> dict[str, str]:
        agent = {"x-claude-code-agent-id": self.name} if self.subagent else {}
        return {"x-claude-code-session-id": self.session_id, "anthropic-version": "2023-06-01", **agent}

    def request(self, step: Step) -> JSONObject:
        messages = list(self.messages)
        if step.compacts:
            messages.append({"role": "user", "content": [{"type": "text", "text": _SUMMARY}]})
            if messages[-2]["role"] == "user":
                last = messages.pop()
                messages[-1] = {**messages[-1], "content": messages[-1]["content"] + last["content"]}
        mark(messages)
        return {**self._head, "messages": messages}

    def heard(self, content: list[JSONObject], step: Step) -> list[JSONObject]:
        """Take the answer in and go on; returns the messages that come behind the answer."""
        if step.compacts:
            self.messages = copy.deepcopy(self._first)
            summary = "This session goes on from an earlier one. " + step.text * 40
            self.messages[0]["content"][-1]["text"] = summary
            return []
        said: list[JSONObject] = []
        results: list[JSONObject] = []
        calls = [block for block in content if block["type"] == "tool_use"]
        for place, (block, call) in enumerate(zip(calls, step.calls, strict=True)):
            result: Any = call.result
            if step.loads and place == 0:
                result = [{"type": "tool_reference", "tool_name": name} for name in step.loads]
            results.append({"type": "tool_result", "tool_use_id": block["id"], "content": result})
        if step.user:
            results.append({"type": "text", "text": step.user})
        said.append({"role": "user", "content": results})
        if step.reminder:
            content_of_system: Any = step.reminder
            if self._marks_system:
                content_of_system = [{"type": "text", "text": step.reminder}]
            said.append({"role": "system", "content": content_of_system})
        self.messages = [*self.messages, {"role": "assistant", "content": content}, *said]
        return said


def recorded_turns(capture: str) -> list[JSONObject]:
    """A recorded request with all requests of its conversation before it.

    A request carries everything that was said, so those before it are its beginnings, up to each answer.
    """
    captured = json.loads((CAPTURES / f"{capture}.request.json").read_text())
    messages: list[JSONObject] = captured["messages"]
    for message in messages:
        unmark(message)
    ends = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    turns = [messages[:end] for end in (*ends, len(messages))]
    for turn in turns:
        mark(turn)
    return [{**captured, "messages": turn} for turn in turns]


def mark(messages: list[JSONObject]) -> None:
    """The marker of the conversation: on the last block that can carry one, as recorded requests have it."""
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if message["role"] == "assistant" or isinstance(message["content"], str):
            continue
        blocks = [*message["content"][:-1], {**message["content"][-1], "cache_control": _MARK}]
        messages[place] = {**message, "content": blocks}
        return


def unmark(message: JSONObject) -> None:
    if isinstance(message["content"], list):
        for block in message["content"]:
            block.pop("cache_control", None)


def _late_tool(name: str) -> JSONObject:
    schema = {
        "type": "object",
        "properties": {"issue": {"type": "string", "description": f"The issue that {name} is about."}},
        "required": ["issue"],
    }
    return {
        "name": name,
        "description": f"{name} of a tracker. " * 20,
        "input_schema": schema,
        "defer_loading": True,
    }
