"""Reads a finished answer of the Messages API, whole JSON or a stream's events, back into one message.

For those who look at answers afterwards. It takes what is there: a stream that broke off yields the
blocks it had, and its `error` event.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from gateway.wire import jsontext
from gateway.wire.lenient import object_of
from gateway.wire.messages import JSONObject
from gateway.wire.stored_stream import events, joined_deltas, ours

_TEXT_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class ReadAnswer(NamedTuple):
    """`message`: None when there is none. `error`: the error object of an error body or event, or None."""

    message: JSONObject | None
    error: JSONObject | None


def read_answer(body: bytes) -> ReadAnswer:
    """Read what went to a client. Anything that is not an answer gives (None, None); never raises."""
    if body.lstrip()[:1] == b"{":
        try:
            value = jsontext.loads(body)
        except jsontext.InvalidJSON:
            return ReadAnswer(None, None)
        if value.get("type") == "error":
            return ReadAnswer(None, object_of(value.get("error")))
        return ReadAnswer(value if isinstance(value.get("content"), list) else None, None)
    joined = ours(joined_deltas(body))
    return _from_events(events(body) if joined is None else joined)


def _from_events(stream: Iterable[JSONObject]) -> ReadAnswer:
    message: JSONObject | None = None
    error: JSONObject | None = None
    blocks: dict[int, JSONObject] = {}
    said: dict[int, list[JSONObject]] = {}
    for event in stream:
        kind, index = event.get("type"), event.get("index")
        if kind == "message_start":
            message = dict(object_of(event.get("message")))
        elif kind == "content_block_start" and isinstance(index, int):
            blocks[index] = dict(object_of(event.get("content_block")))
        elif kind == "content_block_delta" and isinstance(index, int) and index in blocks:
            said.setdefault(index, []).append(object_of(event.get("delta")))
        elif kind == "message_delta" and message is not None:
            message.update(object_of(event.get("delta")))
            message["usage"] = {**object_of(message.get("usage")), **object_of(event.get("usage"))}
        elif kind == "error":
            error = object_of(event.get("error"))
    if message is None:
        return ReadAnswer(None, error)
    for index, deltas in said.items():
        _say(blocks[index], deltas)
    message["content"] = [blocks[index] for index in sorted(blocks)]
    return ReadAnswer(message, error)


def _say(block: JSONObject, deltas: list[JSONObject]) -> None:
    """Extend a block with its deltas, joined once: an answer may have 100,000 of them."""
    for kind, name in _TEXT_DELTAS.items():
        texts = [str(delta.get(name) or "") for delta in deltas if delta.get("type") == kind]
        if texts:
            block[name] = str(block.get(name) or "") + "".join(texts)
    arguments = [
        str(delta.get("partial_json") or "") for delta in deltas if delta.get("type") == "input_json_delta"
    ]
    if any(arguments):
        block["input"] = _arguments("".join(arguments))


def _arguments(text: str) -> Any:
    """The input of a call; the text itself when it broke off before it was JSON."""
    try:
        return jsontext.loads(text)
    except jsontext.InvalidJSON:
        return text
