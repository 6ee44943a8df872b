"""What goes back to the client: a whole body or a stream of bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from gateway.relay.streaming.pump import Pump
from gateway.values import frozen
from gateway.wire import jsontext

STREAM_HEADERS: Final[Mapping[str, str]] = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


@frozen
class Whole:
    """A complete answer; `headers` are added to content-type and request-id."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@frozen
class Streamed:
    """A 200 whose body is `pump`: an async iterator of bytes, with aclose() and close().

    `headers` are added to those of every stream.
    """

    pump: Pump
    headers: Mapping[str, str] = field(default_factory=dict)


Reply = Whole | Streamed


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Whole:
    return Whole(status, jsontext.dumps(value), headers or {})
