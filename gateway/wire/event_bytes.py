"""Server-sent events as the bytes they came in, to be passed on unchanged.

Unlike `sse.Decoder`, which reads what an event says, this only finds where each event ends.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway import patterns
from gateway.wire.sse import MAX_EVENT, EventTooLong

# a blank line after a line; a CR may be the first half of a CRLF
_END: Final = patterns.compiled(rb"(?:\r\n|\r(?!\n)|\n)(?:\r\n|\r(?!\n)|\n)")
_LINE: Final = patterns.compiled(rb"\r\n|\r|\n")


class Fields(NamedTuple):
    """The content of an event's lines: its name or "", and its data lines joined by LF."""

    name: str
    data: bytes


class EventSplitter:
    """Bytes in, whole events out, each with its blank line, however the bytes were cut.

    `feed` raises EventTooLong for an event of more than `sse.MAX_EVENT` bytes.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        # grows in place: a long event may come in many small reads
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        rest = self._rest
        searched = max(0, len(rest) - 3)
        waits = bool(rest)
        if waits:
            rest += data
        whole = rest if waits else data
        events: list[bytes] = []
        start = 0
        for end in _END.finditer(whole, searched):
            if end.end() == len(whole) and whole.endswith(b"\r"):
                break  # its LF may still arrive
            events.append(bytes(whole[start : end.end()]))
            start = end.end()
        if waits:
            del rest[:start]
        else:
            rest += data[start:]
        if len(rest) > MAX_EVENT:
            rest.clear()
            raise EventTooLong
        return events

    def flush(self) -> bytes:
        """What followed the last whole event, completed: an event that lacks its blank line."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest.rstrip(b"\r\n") + b"\n\n" if rest.strip() else b""


def fields(event: bytes) -> Fields:
    """Read an event's lines."""
    name, data = "", []
    for line in _LINE.split(event):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return Fields(name, b"\n".join(data))
