"""Server-sent events: what the decoder tolerates, and our own framing.

See docs/conversion.md, "Reading the provider's stream".
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire import sse
from gateway.wire.messages import PING, text_delta
from gateway.wire.sse import Decoder, EventTooLong, ServerEvent
from tests.examples import examples


def decoded(*reads: bytes) -> list[tuple[str | None, bytes]]:
    decoder = Decoder()
    events = [event for data in reads for event in decoder.feed(data)]
    return [tuple(event) for event in events + decoder.flush()]


def test_one_event_in_one_read():
    assert Decoder().feed(b'data: {"a":1}\n\n') == [ServerEvent(None, b'{"a":1}')]


def test_many_events_in_one_read():
    assert decoded(b"data: 1\n\ndata: 2\n\ndata: 3\n\n") == [(None, b"1"), (None, b"2"), (None, b"3")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_kind_of_line_end(end):
    assert decoded(b"data: a" + end + end + b"data: b" + end + end) == [(None, b"a"), (None, b"b")]


def test_a_crlf_that_is_cut_in_two_is_one_line_end():
    assert decoded(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [(None, b"a\nb")]


def test_mixed_line_ends():
    assert decoded(b"data: a\r\n\ndata: b\r\r") == [(None, b"a"), (None, b"b")]


def test_data_without_a_space():
    assert decoded(b"data:a\n\n") == [(None, b"a")]


def test_only_one_space_is_taken_off():
    assert decoded(b"data:  a\n\n") == [(None, b" a")]


def test_comments_and_unknown_fields_are_passed_over():
    assert decoded(b": hi\n\nid: 7\nretry: 5\nfoo: x\ndata: a\nnonsense\n\n") == [(None, b"a")]


def test_the_event_name_belongs_to_its_event():
    assert decoded(b"event: error\ndata: a\n\ndata: b\n\n") == [("error", b"a"), (None, b"b")]


def test_a_name_without_data_is_no_event():
    assert decoded(b"event: ping\n\ndata: a\n\n") == [(None, b"a")]


def test_data_lines_of_one_event_are_joined():
    assert decoded(b'data: {"a":\ndata: 1}\n\n') == [(None, b'{"a":\n1}')]


def test_a_byte_order_mark_is_skipped_even_in_pieces():
    assert decoded(b"\xef\xbb\xbfdata: a\n\n") == [(None, b"a")]
    assert decoded(b"\xef", b"\xbb\xbf", b"data: a\n\n") == [(None, b"a")]


def test_a_missing_blank_line_between_two_chunks():
    assert decoded(b'data: {"a":1}\ndata: {"b":2}\n\n') == [(None, b'{"a":1}'), (None, b'{"b":2}')]


def test_chunks_without_any_blank_line_do_not_wait_for_the_end():
    decoder = Decoder()
    assert decoder.feed(b'data: {"a":1}\n') == []
    assert decoder.feed(b'data: {"b":2}\n') == [ServerEvent(None, b'{"a":1}')]
    assert decoder.feed(b"data: [DONE]\n") == [ServerEvent(None, b'{"b":2}')]
    assert decoder.flush() == [ServerEvent(None, b"[DONE]")]


def test_the_last_event_needs_no_blank_line():
    assert decoded(b"data: a\n\ndata: b\n") == [(None, b"a"), (None, b"b")]
    assert decoded(b"data: a") == [(None, b"a")]


def test_an_event_in_pieces():
    assert decoded(b"da", b"ta: ", b"a", b"b\n", b"\n") == [(None, b"ab")]


def test_a_character_in_two_reads_is_whole():
    data = "data: é\n\n".encode()
    assert decoded(data[:7], data[7:]) == [(None, "é".encode())]


def test_a_line_of_more_than_64_kib():
    body = b"x" * 200_000
    data = b"data: " + body + b"\n\n"
    reads = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    assert decoded(*reads) == [(None, body)]


def test_a_line_without_end_is_refused_behind_what_came_before(monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    decoder = Decoder()
    assert decoder.feed(b"data: a\n\ndata: " + b"x" * 200) == [ServerEvent(None, b"a")]
    with pytest.raises(EventTooLong):
        decoder.feed(b"x")
    with pytest.raises(EventTooLong):
        decoder.flush()


def test_an_event_of_too_many_lines_is_refused(monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    decoder = Decoder()
    with pytest.raises(EventTooLong):
        for _ in range(60):
            decoder.feed(b"data: xx\n")


@pytest.mark.parametrize("lines", [b": x\n\n", b":x\n", b"event: x\n", b"\n", b"\r\n", b"id: 1\n\n", b"x\n"])
def test_what_is_no_event_has_the_same_bound(monkeypatch, lines):
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    decoder = Decoder()
    with pytest.raises(EventTooLong):
        for _ in range(200):
            decoder.feed(lines)


@pytest.mark.parametrize("event", [b"data: {}\n\n", b"event: x\ndata: {}\n\n", b"data: {}\n"])
def test_comments_between_events_are_counted_anew_behind_each(monkeypatch, event):
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    decoder = Decoder()
    found = []
    for _ in range(100):
        found += decoder.feed(b": here\n\n: still here\n\n" + event)
        found += decoder.feed(event)
    found += decoder.flush()
    assert {data for _, data in found} == {b"{}"} and len(found) == 200


LINES = st.lists(
    st.sampled_from(
        [
            b"data: {}",
            b'data:{"a":1}',
            b"data: x",
            b"",
            b": c",
            b"event: error",
            b"id",
            b"\xef\xbb\xbf",
            b"data: [DONE]",
        ]
    ),
    max_size=12,
)


@settings(max_examples=examples(300))
@given(LINES, st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=12, max_size=12), st.data())
def test_any_cut_gives_the_same_events(lines, ends, data):
    whole = b"".join(line + end for line, end in zip(lines, ends, strict=False))
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    reads = [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]
    assert decoded(*reads) == decoded(whole)


# out


def test_an_event_has_a_name_and_one_line_of_json():
    assert sse.encode(text_delta(0, "a\nb é")) == (
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"a\\nb \xc3\xa9"}}\n\n'
    )


def test_several_events_are_one_piece():
    assert sse.encode_all([PING, PING]) == b'event: ping\ndata: {"type":"ping"}\n\n' * 2


def test_an_event_of_the_future_is_named_too():
    assert sse.encode({"type": "new"}) == b'event: new\ndata: {"type":"new"}\n\n'


@given(st.text())
def test_what_we_encode_we_can_decode(text):
    (event,) = Decoder().feed(sse.encode(text_delta(0, text)))
    assert event.name == "content_block_delta"
    assert json.loads(event.data)["delta"]["text"] == text.encode("utf-8", "replace").decode()
