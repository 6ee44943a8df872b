"""A stream of events that somebody kept: what it says, and what of it may be changed.

Streams under way are read by wire/sse.py, and passed on by wire/event_bytes.py. Whoever looks at a whole one
afterwards reads it here. What the gateway or a provider writes is always in the same form, so most of it
needs no reading event by event; every function gives for any bytes what that would give.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from gateway import patterns
from gateway.wire import jsontext, sse
from gateway.wire.messages import JSONObject

_DATA: Final = b"data:"
# between two events; serialised text never contains a raw line break
_NEXT_LINE: Final = b"\ndata:"
_NEXT_DATA: Final = b"\ndata: "
# an event as wire/sse.py writes it
_OURS: Final = patterns.compiled(rb"^event: [a-z_]+\ndata: (.*)\n\n", patterns.MULTILINE)
# a fragment of a text up to the text, as the gateway writes it, without "data: "
_UP_TO_TEXT: Final = patterns.compiled(
    rb'\{"type":"content_block_delta","index":\d+,'
    rb'"delta":\{"type":"(?:text|thinking|input_json)_delta","(?:text|thinking|partial_json)":"'
)
_JSON_TEXT: Final = patterns.compiled(rb'[^"\\]*(?:\\.[^"\\]*)*')
_BEFORE_ANOTHER: Final = b'"}}\n\nevent: content_block_delta'
# a text that may be said, in an event of any protocol
_SAID: Final = patterns.compiled(
    rb'"(?:text|thinking|partial_json|content|reasoning_content|reasoning|arguments|delta|refusal)"'
    rb'\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"'
)


def is_stream(body: bytes) -> bool:
    """Whether a raw answer is events and not one document."""
    return body[:1] not in (b"{", b"[") and _DATA in body


def events(stream: bytes) -> list[JSONObject]:
    """The data of a stream's events in order; anything but JSON objects is left out."""
    found = ours(stream)
    return other_events(stream) if found is None else found


def ours(stream: bytes) -> list[JSONObject] | None:
    """The same for a stream with nothing in it but our own writing, parsed at once; None for any other."""
    data = _OURS.findall(stream)
    if stream.endswith(b"\n\n") and stream.count(b"\n") == 3 * len(data) and b"\r" not in stream:
        with contextlib.suppress(jsontext.InvalidJSON):
            return [value for value in jsontext.loads(b"[%b]" % b",".join(data)) if isinstance(value, dict)]
    return None


def other_events(stream: bytes) -> list[JSONObject]:
    decoder = sse.Decoder()
    found: list[JSONObject] = []
    try:
        raw = decoder.feed(stream) + decoder.flush()
    except sse.EventTooLong:
        raw = []
    for event in raw:
        try:
            value = jsontext.loads(event.data)
        except jsontext.InvalidJSON:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def joined_deltas(stream: bytes) -> bytes:
    """`stream`, or an equivalent one in which consecutive fragments of a block are one event.

    Only a stream in the gateway's own writing changes, as long as it is valid JSON.
    """
    events: list[bytes] = []
    texts: list[bytes] = []
    beginning, start, end = b"\n", 1, -len(_BEFORE_ANOTHER)
    for event in stream.split(_NEXT_DATA):
        if event[:start] == beginning and event[end:] == _BEFORE_ANOTHER:
            texts.append(event[start:end])
            continue
        if texts:
            joined = b"".join(texts)
            if not _is_text(joined):
                # there was more in some event than its text
                return stream
            events.append(b"%b%b%b" % (beginning, joined, _BEFORE_ANOTHER))
            texts = []
        fragment = _UP_TO_TEXT.match(event)
        if fragment is not None and event.endswith(_BEFORE_ANOTHER):
            beginning, start = fragment[0], fragment.end()
            texts.append(event[start:end])
        else:
            events.append(event)
    # an event with another before it is never the last
    return _NEXT_DATA.join(events) if not texts else stream


def _is_text(text: bytes) -> bool:
    """Whether it contains no quote that would end it; counted first, which takes a quarter of the time."""
    counted = b"\\\\" not in text and text.count(b'"') == text.count(b'\\"')
    return counted or _JSON_TEXT.fullmatch(text) is not None


class StreamTexts(NamedTuple):
    """`joined`: the texts as JSON strings, one after another; `around`: the rest, each form once."""

    around: bytes
    joined: bytes


def stream_texts(body: bytes) -> StreamTexts:
    """The texts in the events of any known kind of stream, and what surrounds them.

    Most events of a stream differ only in their text. So an event that begins and ends like the one before
    is cut there; only one that does not is searched, which takes seven times as long.
    """
    around: dict[bytes, None] = {}
    texts: list[bytes] = []
    before = after = b"\n"
    start, end = 1, -1
    for event in body.split(_NEXT_LINE):
        if event[:start] == before and event[end:] == after:
            texts.append(event[start:end])
            continue
        place = 0
        for text in (found := list(_SAID.finditer(event))):
            around[event[place : text.start()]] = None
            texts.append(text[1])
            place = text.end()
        around[event[place:]] = None
        if len(found) == 1:
            start, end = found[0].start(1), found[0].end(1) - len(event)
            before, after = event[:start], event[end:]
    return StreamTexts(_NEXT_LINE.join(around), b"".join(texts))


class StreamLines:
    """The lines of a stream, of which some are replaced.

    `values`: the JSON of each data line that has some, by its number.
    """

    def __init__(self, body: bytes) -> None:
        self._lines = body.split(b"\n")
        self.values: dict[int, Any] = {}
        for number, line in enumerate(self._lines):
            if line.startswith(_DATA):
                with contextlib.suppress(jsontext.InvalidJSON, RecursionError):
                    self.values[number] = jsontext.loads(line[len(_DATA) :].strip())

    def others(self) -> Iterator[tuple[int, str]]:
        """The lines that are not empty and have no JSON, with their numbers."""
        for number, line in enumerate(self._lines):
            if number not in self.values and line:
                yield number, line.decode("utf-8", "surrogateescape")

    def write(self, number: int) -> None:
        """Write a line anew from its value, which was changed."""
        end = b"\r" if self._lines[number].endswith(b"\r") else b""
        self._lines[number] = b"data: " + jsontext.dumps(self.values[number]) + end

    def replace(self, number: int, line: str) -> None:
        """Put a text in the place of one of the others."""
        self._lines[number] = line.encode("utf-8", "surrogateescape")

    def text(self) -> bytes:
        """The whole stream as it is now."""
        return b"\n".join(self._lines)
