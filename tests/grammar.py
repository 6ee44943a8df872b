"""The legal order of events, written from the Messages API's documentation and not from our code.

`check(events)` gives what is wrong with a sequence, `assert_legal` fails with it.
A sequence that is empty is legal: nothing was sent, so an HTTP error still can be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "server_tool_use": {"input_json_delta"},
    "web_search_tool_result": set(),
}
_KEYS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
    "citations_delta": "citation",
}
_STOP_REASONS = {
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "refusal",
    "model_context_window_exceeded",
}


def assert_legal(events: Iterable[dict[str, Any]], *, ended: bool = True) -> None:
    problems = check(events, ended=ended)
    assert not problems, "\n".join(problems)


def check(events: Iterable[dict[str, Any]], *, ended: bool = True) -> list[str]:
    """What breaks the grammar; `ended`: the stream must also have an end."""
    return _Reader(ended).read(list(events))


class _Reader:
    def __init__(self, ended: bool) -> None:
        self.ended = ended
        self.problems: list[str] = []
        self.blocks: list[dict[str, Any]] = []
        self.open: dict[str, Any] | None = None
        self.stop_reason: str | None = None
        self.unfinished_input = False

    def read(self, events: list[dict[str, Any]]) -> list[str]:
        if not events:
            return []
        if events[0]["type"] != "message_start":
            self.problems.append(f"{events[0]['type']} comes before message_start")
        for position, event in enumerate(events):
            getattr(self, "on_" + event["type"], self.unknown)(event)
            last = position == len(events) - 1
            if event["type"] == "message_start" and position:
                self.problems.append("message_start comes twice")
            if event["type"] in ("message_stop", "error") and not last:
                self.problems.append(f"something follows {event['type']}")
        if self.ended and events[-1]["type"] not in ("message_stop", "error"):
            self.problems.append("there is no end")
        return self.problems

    def unknown(self, event: dict[str, Any]) -> None:
        self.problems.append(f"unknown event {event['type']}")

    def on_message_start(self, event: dict[str, Any]) -> None:
        message = event["message"]
        expected = {
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }
        for key, value in expected.items():
            if message.get(key) != value:
                self.problems.append(f"message_start.{key} is {message.get(key)!r}")
        if not str(message.get("id", "")).startswith("msg_") or not message.get("model"):
            self.problems.append("message_start lacks id or model")
        self.counts(message["usage"])

    def on_ping(self, event: dict[str, Any]) -> None:
        if set(event) != {"type"}:
            self.problems.append("a ping carries data")

    def on_content_block_start(self, event: dict[str, Any]) -> None:
        block = event["content_block"]
        if self.open is not None:
            self.problems.append("two blocks are open")
        if self.stop_reason is not None:
            self.problems.append("a block starts behind message_delta")
        if event["index"] != len(self.blocks):
            self.problems.append(f"block {len(self.blocks)} has the index {event['index']}")
        empty = {
            "text": {"text": ""},
            "thinking": {"thinking": "", "signature": ""},
            "tool_use": {"input": {}},
            "server_tool_use": {"input": {}},
            "web_search_tool_result": {},
        }
        for key, value in empty[block["type"]].items():
            if block.get(key) != value:
                self.problems.append(f"a {block['type']} block starts with {key} {block.get(key)!r}")
        if block["type"] == "tool_use":
            if not re.fullmatch(r"[A-Za-z0-9_-]+", block["id"]) or not block["name"]:
                self.problems.append("a tool_use lacks a legal id or a name")
            if any(block["id"] == other.get("id") for other in self.blocks):
                self.problems.append(f"the id {block['id']} is used twice")
        self.open = {**block, "deltas": []}
        self.blocks.append(self.open)

    def on_content_block_delta(self, event: dict[str, Any]) -> None:
        kind = event["delta"]["type"]
        if self.open is None or event["index"] != len(self.blocks) - 1:
            self.problems.append(f"a delta for block {event['index']}, which is not open")
            return
        if kind not in _DELTAS[self.open["type"]]:
            self.problems.append(f"{kind} in a {self.open['type']} block")
        if set(event["delta"]) != {"type", _KEYS[kind]}:
            self.problems.append(f"{kind} with the keys {sorted(event['delta'])}")
        if any(earlier["type"] == "signature_delta" for earlier in self.open["deltas"]):
            self.problems.append("a delta behind the signature")
        self.open["deltas"].append(event["delta"])

    def on_content_block_stop(self, event: dict[str, Any]) -> None:
        block, self.open = self.open, None
        if block is None or event["index"] != len(self.blocks) - 1:
            self.problems.append(f"block {event['index']} stops but is not open")
            return
        if block["type"] == "thinking":
            signatures = [
                delta["signature"] for delta in block["deltas"] if delta["type"] == "signature_delta"
            ]
            if len(signatures) != 1 or not signatures[0]:
                self.problems.append(f"a thinking block has {len(signatures)} signatures")
        if block["type"] == "tool_use":
            written = "".join(delta["partial_json"] for delta in block["deltas"])
            try:
                if not isinstance(json.loads(written), dict):
                    self.problems.append(f"the input is no object: {written!r}")
            except ValueError:
                self.unfinished_input = True

    def on_message_delta(self, event: dict[str, Any]) -> None:
        delta = event["delta"]
        if self.open is not None:
            self.problems.append("message_delta while a block is open")
        if self.stop_reason is not None:
            self.problems.append("message_delta comes twice")
        self.stop_reason = delta["stop_reason"]
        if self.stop_reason not in _STOP_REASONS:
            self.problems.append(f"stop_reason {self.stop_reason!r}")
        if (self.stop_reason == "stop_sequence") != (delta["stop_sequence"] is not None):
            self.problems.append("stop_sequence does not fit stop_reason")
        if (self.stop_reason == "refusal") != ("stop_details" in delta):
            self.problems.append("stop_details do not fit stop_reason")
        if self.stop_reason == "tool_use" and not any(block["type"] == "tool_use" for block in self.blocks):
            self.problems.append("stop_reason tool_use without a tool_use")
        limits = ("max_tokens", "model_context_window_exceeded")
        if self.unfinished_input and self.stop_reason not in limits:
            self.problems.append("an unfinished input, and no limit was met")
        self.counts(event["usage"])

    def on_message_stop(self, event: dict[str, Any]) -> None:
        if self.stop_reason is None:
            self.problems.append("message_stop without message_delta")

    def on_error(self, event: dict[str, Any]) -> None:
        if self.stop_reason is not None:
            self.problems.append("an error behind message_delta")
        if not event["error"].get("type") or not event["error"].get("message") or not event.get("request_id"):
            self.problems.append("an incomplete error event")

    def counts(self, usage: dict[str, Any]) -> None:
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        ):
            if type(usage.get(name)) is not int or usage[name] < 0:
                self.problems.append(f"usage.{name} is {usage.get(name)!r}")
