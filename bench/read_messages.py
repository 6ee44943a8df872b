"""Reads an answer in the form of the Messages API and checks that its events come in the legal order.

message_start, then blocks one after the other (start, deltas, stop; numbered
from 0), then message_delta with stop reason and usage, then message_stop,
then nothing. `ping` may stand anywhere.
"""

from __future__ import annotations

from typing import Final

from bench.captured import WrongAnswer
from bench.found import Event, Found, JSONObject, events_of, loaded

# kind of block -> kind of delta and the delta's field
_DELTAS: Final = {
    "text": {"text_delta": "text"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "tool_use": {"input_json_delta": "partial_json"},
}


def read_stream(body: bytes) -> Found:
    """Raises WrongAnswer."""
    reader = _Reader()
    for event in events_of(body):
        reader.take(event)
    if reader.expects != "nothing":
        raise WrongAnswer(f"the stream ends before {reader.expects}")
    return reader.found


def read_whole(body: bytes) -> Found:
    """Raises WrongAnswer."""
    message = loaded(body)
    found = Found(stop=message.get("stop_reason"), first_content=len(body))
    for block in message.get("content", []):
        if block["type"] == "text":
            found.text += block["text"]
        elif block["type"] == "thinking":
            found.thinking += block["thinking"]
        elif block["type"] == "tool_use":
            found.tools.append((block["name"], block["input"]))
        else:
            raise WrongAnswer(f"block of type {block['type']!r}")
    _check_usage(message, ("input_tokens", "output_tokens"))
    return found


class _Reader:
    """`expects` names what comes next: message_start, a block, a delta, message_stop, nothing."""

    def __init__(self) -> None:
        self.found = Found()
        self.expects = "message_start"
        self._blocks = 0
        self._kind = ""
        self._parts: list[str] = []
        self._name = ""

    def take(self, event: Event) -> None:
        data = loaded(event.data)
        if data.get("type") != event.name:
            raise WrongAnswer(f"event {event.name!r} with data of type {data.get('type')!r}")
        if event.name == "ping":
            return
        place, action = _STEPS.get(event.name, ("", None))
        if action is None or self.expects != place:
            raise WrongAnswer(f"{event.name} where {self.expects} has to come: {event.data[:120]!r}")
        action(self, data, event.end)

    def _message_start(self, data: JSONObject, _: int) -> None:
        if data["message"]["content"] or data["message"]["role"] != "assistant":
            raise WrongAnswer("message_start with content, or of another role")
        self.expects = "a block"

    def _block_start(self, data: JSONObject, _: int) -> None:
        block = data["content_block"]
        self._kind, self._name, self._parts = block["type"], block.get("name", ""), []
        if self._kind not in _DELTAS:
            raise WrongAnswer(f"block of type {self._kind!r}")
        self._check_index(data)
        self.expects = "a delta"

    def _block_delta(self, data: JSONObject, end: int) -> None:
        self._check_index(data)
        delta = data["delta"]
        field = _DELTAS[self._kind].get(delta["type"])
        if field is None:
            raise WrongAnswer(f"{delta['type']} in a block of type {self._kind}")
        if delta["type"] != "signature_delta":
            self._parts.append(delta[field])
            self.found.content_at(delta[field], end, clock=self._kind == "text")

    def _block_stop(self, data: JSONObject, _: int) -> None:
        self._check_index(data)
        self._blocks += 1
        whole = "".join(self._parts)
        if self._kind == "text":
            self.found.text += whole
        elif self._kind == "thinking":
            self.found.thinking += whole
        else:
            self.found.tools.append((self._name, loaded(whole)))
        self.expects = "a block"

    def _message_delta(self, data: JSONObject, _: int) -> None:
        self.found.stop = data["delta"]["stop_reason"]
        _check_usage(data, ("output_tokens",))
        self.expects = "message_stop"

    def _message_stop(self, _: JSONObject, __: int) -> None:
        self.expects = "nothing"

    def _check_index(self, data: JSONObject) -> None:
        if data["index"] != self._blocks:
            raise WrongAnswer(f"block {data['index']} where {self._blocks} has to come")


_STEPS: Final = {
    "message_start": ("message_start", _Reader._message_start),
    "content_block_start": ("a block", _Reader._block_start),
    "content_block_delta": ("a delta", _Reader._block_delta),
    "content_block_stop": ("a delta", _Reader._block_stop),
    "message_delta": ("a block", _Reader._message_delta),
    "message_stop": ("message_stop", _Reader._message_stop),
}


def _check_usage(data: JSONObject, names: tuple[str, ...]) -> None:
    usage = data.get("usage") or {}
    if not all(isinstance(usage.get(name), int) for name in names):
        raise WrongAnswer(f"usage without {' and '.join(names)}: {usage}")
