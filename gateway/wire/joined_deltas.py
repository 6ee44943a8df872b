"""Merges consecutive delta events of one block of a Messages stream into one event.

For readers of a finished stream: an answer comes in hundreds of fragments, and joining them in the
raw bytes takes a tenth of the time of reading each.
"""

from __future__ import annotations

from typing import Final

from gateway import patterns

# a fragment of text up to the text itself, as the gateway writes it, without "data: "
_UP_TO_TEXT: Final = patterns.compiled(
    rb'\{"type":"content_block_delta","index":\d+,'
    rb'"delta":\{"type":"(?:text|thinking|input_json)_delta","(?:text|thinking|partial_json)":"'
)
_TEXT: Final = patterns.compiled(rb'[^"\\]*(?:\\.[^"\\]*)*')
# between the data of two events; text never contains a raw line break
_NEXT: Final = b"\ndata: "
_BEFORE_ANOTHER: Final = b'"}}\n\nevent: content_block_delta'


def joined_deltas(stream: bytes) -> bytes:
    """`stream`, or an equivalent one in which consecutive fragments of a block are one event.

    Changes only a stream in the gateway's own format, provided it is valid JSON.
    """
    events: list[bytes] = []
    texts: list[bytes] = []
    beginning, start, end = b"\n", 1, -len(_BEFORE_ANOTHER)
    for event in stream.split(_NEXT):
        if event[:start] == beginning and event[end:] == _BEFORE_ANOTHER:
            texts.append(event[start:end])
            continue
        if texts:
            joined = b"".join(texts)
            if not _is_text(joined):
                # some event contained more than its text
                return stream
            events.append(b"%b%b%b" % (beginning, joined, _BEFORE_ANOTHER))
            texts = []
        fragment = _UP_TO_TEXT.match(event)
        if fragment is not None and event.endswith(_BEFORE_ANOTHER):
            beginning, start = fragment[0], fragment.end()
            texts.append(event[start:end])
        else:
            events.append(event)
    # an event followed by another one is never the last
    return _NEXT.join(events) if not texts else stream


def _is_text(text: bytes) -> bool:
    """Whether it contains no quote that would end it; counted first, which takes a quarter of the time."""
    counted = b"\\\\" not in text and text.count(b'"') == text.count(b'\\"')
    return counted or _TEXT.fullmatch(text) is not None
