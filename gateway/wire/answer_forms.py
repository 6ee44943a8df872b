"""The forms in which a provider's answer comes, told by its bytes: servers name them wrongly.

One JSON text, server-sent events, JSON lines, a list of chunks, or a JSON text before events.
"""

from __future__ import annotations

from typing import Final

from gateway.wire import jsontext, sse
from gateway.wire.messages import JSONObject

# in which routers wrap what a provider said
_ENVELOPES: Final = ("response", "result", "data", "output")


def starts_as_json(piece: bytes) -> bool:
    """Whether an answer begins as JSON; no field of a server-sent event does."""
    return piece[:64].removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"["))


def without_comments(body: bytes) -> bytes:
    """A JSON text without the comments of an event stream before it, with which a router holds the line."""
    start = 0
    while body.startswith((b":", b"\n", b"\r"), start):
        start = body.find(b"\n", start) + 1
        if not start:
            return body
    return body[start:] if start and starts_as_json(body[start:]) else body


def as_events(body: bytes) -> bytes | None:
    """The body as server-sent events, whatever it is called; None when it is one JSON text or neither.

    JSON lines become events, and so do the chunks of a list, and a JSON text before events.
    """
    if not starts_as_json(body):
        return body if sse.begins_as_events(body) else None
    try:
        whole = jsontext.loads(body)
    except jsontext.InvalidJSON:
        return _lines_as_events(body)
    if not isinstance(whole, list) or len(whole) < 2:
        return None
    return b"".join(_event(jsontext.dumps(item)) for item in whole)


def unwrapped(payload: JSONObject) -> JSONObject:
    """A completion or chunk without the envelope of a router; what stands beside it stays."""
    if "choices" not in payload:
        for name in _ENVELOPES:
            inner = payload.get(name)
            if type(inner) is dict and type(inner.get("choices")) is list:
                return {key: value for key, value in payload.items() if key != name} | inner
    return payload


def _lines_as_events(body: bytes) -> bytes | None:
    """JSON lines, or a JSON text before events, as events."""
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) > 1 and all(starts_as_json(line) for line in lines):
        return b"".join(_event(line.strip()) for line in lines)
    text, begin, events = body.partition(b"\ndata:")
    try:
        return _event(jsontext.dumps(jsontext.loads(text))) + begin[1:] + events if begin else None
    except jsontext.InvalidJSON:
        return None


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"
