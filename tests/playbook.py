"""A stream as a script: chunks in, events out, and a difference one can read.

events = play(stream_of(), text("Hel"), text("lo"), finish("stop"), DONE)
assert_events(events, [start(), ...])
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from gateway.conversion.answers.chat_stream import MessageStream
from gateway.conversion.context import AnswerContext
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.management.expectations import normal
from gateway.wire.event_bytes import fields
from gateway.wire.messages import Sent

DONE = b"data: [DONE]\n\n"
REQUEST_ID = "req_test"

Chunk = dict[str, Any] | bytes


def new_ids() -> Any:
    """Ids that count, so that events can be compared."""
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}{next(numbers):024d}"


def context_of(options: dict[str, Any] | None = None, **facts: Any) -> AnswerContext:
    """An answer context without a request."""
    return AnswerContext(
        **{
            "model": "claude-test",
            "new_id": new_ids(),
            "profile": Profile.merged(options or {}),
            "max_tokens": 1024,
            "estimated_input_tokens": 11,
            **facts,
        }
    )


def stream_of(
    options: dict[str, Any] | None = None, *, ledger: Ledger | None = None, **facts: Any
) -> MessageStream:
    return MessageStream(context_of(options, **facts), ledger if ledger is not None else Ledger())


# What an upstream sends


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "choices": [choice], **more}


def text(content: str) -> dict[str, Any]:
    return chunk({"content": content})


def thought(content: str) -> dict[str, Any]:
    return chunk({"reasoning_content": content})


def call(
    index: int | None = 0, id: str | None = None, name: str | None = None, args: Any = None
) -> dict[str, Any]:
    """A fragment of a tool call; what is None is left out."""
    function = {key: value for key, value in (("name", name), ("arguments", args)) if value is not None}
    fragment: dict[str, Any] = {"function": function}
    if index is not None:
        fragment["index"] = index
    if id is not None:
        fragment["id"] = id
    return chunk({"tool_calls": [fragment]})


def finish(reason: str, **more: Any) -> dict[str, Any]:
    return chunk({}, reason, **more)


def usage(prompt: int, completion: int) -> dict[str, Any]:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"id": "c1", "choices": [], "usage": counts}


def sse(*chunks: Chunk) -> bytes:
    """The bytes of a stream."""
    return b"".join(
        item if isinstance(item, bytes) else b"data: " + json.dumps(item).encode() + b"\n\n"
        for item in chunks
    )


# What comes out


def play(stream: MessageStream, *chunks: Chunk, eof: bool = True) -> list[dict[str, Any]]:
    """Feed chunk by chunk, then the end of the connection; a failure after the start becomes its event."""
    events: list[dict[str, Any]] = []
    for item in chunks:
        events += plain(stream.feed(sse(item)))
    if eof:
        events += stream.finish()
    return events + failed(stream)


def play_bytes(stream: MessageStream, reads: Iterable[bytes]) -> list[dict[str, Any]]:
    """Feed network reads as they are."""
    events = [event for data in reads for event in plain(stream.feed(data))]
    return events + stream.finish() + failed(stream)


def plain(events: Iterable[Sent]) -> list[dict[str, Any]]:
    """Events as values, those that came written among them."""
    return [json.loads(fields(event)[1]) if isinstance(event, bytes) else event for event in events]


def failed(stream: MessageStream) -> list[dict[str, Any]]:
    return stream.fail(stream.failure, REQUEST_ID) if stream.failure else []


def _text_key(delta: dict[str, Any]) -> str | None:
    return {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}.get(
        delta["type"]
    )


def lines(events: Iterable[Sent]) -> list[str]:
    """Events as short lines, in normal form: what most tests compare."""
    return list(_lines(normal(plain(events))))


def _lines(events: Iterable[dict[str, Any]]) -> Iterator[str]:
    for event in events:
        kind = event["type"]
        if kind == "content_block_start":
            block = event["content_block"]
            named = f" {block['id']} {block['name']}" if block["type"] == "tool_use" else ""
            yield f"{event['index']} start {block['type']}{named}"
        elif kind == "content_block_delta":
            delta = event["delta"]
            key = _text_key(delta)
            said = delta[key] if key else "*"
            yield f"{event['index']} {delta['type'].removesuffix('_delta')} {said}"
        elif kind == "content_block_stop":
            yield f"{event['index']} stop"
        elif kind == "message_delta":
            sequence = event["delta"]["stop_sequence"]
            yield f"end {event['delta']['stop_reason']}" + (f" {sequence}" if sequence else "")
        elif kind == "error":
            yield f"error {event['error']['type']}: {event['error']['message']}"
        else:
            yield kind


def assert_lines(events: Iterable[dict[str, Any]], *expected: str) -> None:
    """The blocks of a stream as short lines; message_start and message_stop go without saying."""
    got = [line for line in lines(events) if line not in ("message_start", "message_stop")]
    difference = "\n".join(difflib.unified_diff(list(expected), got, "expected", "got", lineterm="", n=20))
    assert got == list(expected), "\n" + difference
