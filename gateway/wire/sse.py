"""Server-sent events, in from the upstream and out to the client.

The decoder is tolerant because providers are careless: lines end in LF, CRLF or CR; a byte order
mark, comments and unknown fields are skipped, and so is a missing blank line between two chunks. It
splits bytes, not text: LF and CR cannot occur inside a UTF-8 character, so a character cut in two by
the network is whole again when its line is.

See docs/conversion.md, "Events to the client" and "Reading the provider's stream".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.wire import jsontext
from gateway.wire.messages import Event, JSONObject, Sent

MAX_EVENT: Final = 16 * 1024 * 1024
DONE: Final = b"[DONE]"

_BOM: Final = b"\xef\xbb\xbf"


class ServerEvent(NamedTuple):
    """One event: `name` is its `event:` field or None, `data` its data lines joined by LF (raw UTF-8)."""

    name: str | None
    data: bytes


def begins_as_events(data: bytes) -> bool:
    """Whether bytes begin as a stream of events does, whatever they are called."""
    return data[:64].removeprefix(_BOM).lstrip().startswith((b"data:", b"event:", b"id:", b":", b"retry:"))


class EventTooLong(ValueError):
    """More than MAX_EVENT bytes came and no event: one that is too long, or only comments, names and lines
    without a meaning.
    """

    def __init__(self) -> None:
        super().__init__(f"upstream sent an event of more than {MAX_EVENT // (1024 * 1024)} MiB")


class Decoder:
    """Bytes in, events out, however the bytes were cut.

    `feed` takes what one network read brought, `flush` says that no more will come and returns the event
    that lacked its blank line. Both raise EventTooLong, but only after the events before the long one
    have been returned.
    """

    __slots__ = ("_after_cr", "_data", "_name", "_partial", "_size", "_too_long")

    def __init__(self) -> None:
        self._partial: list[bytes] = []  # an unfinished line, as it came
        self._data: list[bytes] = []  # the data lines of an unfinished event
        self._size = 0  # what came since the last event, whatever it said
        self._name: str | None = None
        self._after_cr = False
        self._too_long = False

    def feed(self, data: bytes) -> list[ServerEvent]:
        bodies = self.bodies(data)
        return self.lines(data) if bodies is None else [ServerEvent(None, body) for body in bodies]

    def bodies(self, data: bytes) -> list[bytes] | None:
        """The data of the events, when every complete event is a single data line and nothing else.

        Almost every read from almost every provider looks like this. None: nothing was done, and `lines` has
        to read it.
        """
        if self._data or self._name is not None or self._after_cr or self._too_long:
            return None
        end = len(data)
        if data[-2:] != b"\n\n":
            end = data.rfind(b"\n\n") + 2
            if end < 2:
                return None
        whole = data[: end - 2]
        if self._partial:
            whole = b"".join((*self._partial, whole))
        rest = data[end:]
        if whole[:6] != b"data: " or b"\r" in data or b"\n" in rest:
            return None
        bodies = whole[6:].split(b"\n\ndata: ")
        if whole.count(b"\n") != 2 * (len(bodies) - 1):
            return None
        if self._partial:
            self._partial.clear()
        if rest:
            self._partial.append(rest)
        self._size = len(rest)
        return bodies

    def lines(self, data: bytes) -> list[ServerEvent]:
        """The events of any data, line by line."""
        if self._too_long:
            raise EventTooLong
        if b"\r" in data or self._after_cr:
            data = self._with_lf(data)
        lines, newline, rest = data.rpartition(b"\n")
        events: list[ServerEvent] = []
        if newline:
            if self._partial:
                lines = b"".join((*self._partial, lines))
                self._partial.clear()
            self._take(lines, events)
        if rest:
            self._partial.append(rest)
        self._size = len(rest) if events else self._size + len(data)
        if self._size > MAX_EVENT:
            self._too_long = True
            self._partial.clear()
            self._data.clear()
            if not events:
                raise EventTooLong
        return events

    def flush(self) -> list[ServerEvent]:
        if self._too_long:
            raise EventTooLong
        events: list[ServerEvent] = []
        if self._partial:
            self._line(b"".join(self._partial), events)
            self._partial.clear()
        self._dispatch(events)
        return events

    def _take(self, lines: bytes, events: list[ServerEvent]) -> None:
        """Whole lines, without the final LF."""
        if self._data or self._name is not None:
            self._each_line(lines, events)
            return
        *blocks, last = lines.split(b"\n\n")
        if last.endswith(b"\n"):
            blocks.append(last[:-1])
            last = b""
        for block in blocks:
            if block.startswith(b"data: ") and b"\n" not in block:
                events.append(ServerEvent(None, block[6:]))
            else:
                self._each_line(block, events)
                self._dispatch(events)
        if last:
            self._each_line(last, events)

    def _each_line(self, lines: bytes, events: list[ServerEvent]) -> None:
        for line in lines.split(b"\n"):
            self._line(line, events)

    def _line(self, line: bytes, events: list[ServerEvent]) -> None:
        if not line:
            self._dispatch(events)
            return
        field, _, value = line.removeprefix(_BOM).partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            # some providers forget the blank line between two chunks
            if self._data and _stands_alone(value) and _stands_alone(self._data[-1]):
                self._dispatch(events)
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif _stands_alone(line):
            # an error in the middle of a stream often comes as JSON alone
            if self._data:
                self._dispatch(events)
            self._data.append(line)

    def _dispatch(self, events: list[ServerEvent]) -> None:
        if self._data:
            events.append(ServerEvent(self._name, b"\n".join(self._data)))
            self._data.clear()
        self._name = None

    def _with_lf(self, data: bytes) -> bytes:
        """Every line end as LF; the LF of a CRLF that was cut in two is dropped."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if data.endswith(b"\r"):
            self._after_cr = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def encode(event: Sent | JSONObject) -> bytes:
    """One event for the client: the event line is mandatory, the SDKs discard events without it."""
    if isinstance(event, bytes):
        return event
    kind = event["type"]
    head = _HEADS.get(kind) or _head(kind)
    return head + jsontext.dumps(event) + b"\n\n"


def around(event: Event) -> tuple[bytes, bytes]:
    """What precedes and follows the text in a serialised event that contains only one text."""
    before, _, behind = encode(event).partition(b'""')
    return before, behind


def encode_all(events: Sequence[Sent]) -> bytes:
    """Several events as one piece, so that one network read of ours becomes one write."""
    if len(events) == 1:
        [event] = events
        return event if type(event) is bytes else encode(event)
    return b"".join(map(encode, events))


def _head(kind: str) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: "


_HEADS: Final = {
    kind: _head(kind)
    for kind in (
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    )
}


def _stands_alone(line: bytes) -> bool:
    """Whether a data line is by itself a chunk (or the end mark)."""
    if line == DONE:
        return True
    if not line.startswith((b"{", b"[")):
        return False
    try:
        jsontext.loads(line)
    except jsontext.InvalidJSON:
        return False
    return True
