"""Events as the bytes they came in."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.event_bytes import EventSplitter, fields
from gateway.wire.sse import MAX_EVENT, EventTooLong

EVENTS = [
    b"event: ping\ndata: {}\n\n",
    b": a comment\n\n",
    b'data: {"a":1}\r\n\r\n',
    b"event: x\rdata: y\r\r",
    b"\n\n",
    b"data: a\n\r\n",
]


def split(reads):
    splitter = EventSplitter()
    events = [event for read in reads for event in splitter.feed(read)]
    return events, splitter.flush()


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_what_came(event):
    assert split([event, b"data: rest\n\n"])[0] == [event, b"data: rest\n\n"]


@given(st.lists(st.sampled_from(EVENTS), max_size=6), st.data())
def test_any_cut_of_the_bytes_loses_nothing(events, data):
    upstream = b"".join(events)
    places = sorted(data.draw(st.lists(st.integers(0, len(upstream)), max_size=8)))
    reads = [upstream[start:end] for start, end in zip([0, *places], [*places, len(upstream)], strict=True)]
    cut, rest = split(reads)
    whole, whole_rest = split([upstream])
    assert (cut, rest) == (whole, whole_rest)
    assert b"".join(cut) == upstream[: len(b"".join(cut))]


def test_what_lacks_its_blank_line_is_made_an_event_at_the_end():
    assert split([b"event: a\ndata: 1\n\ndata: 2"]) == ([b"event: a\ndata: 1\n\n"], b"data: 2\n\n")
    assert split([b"data: 2\n"]) == ([], b"data: 2\n\n")
    assert split([b" \n"]) == ([], b"")


def test_an_event_without_end_is_not_collected_for_ever():
    splitter = EventSplitter()
    with pytest.raises(EventTooLong):
        splitter.feed(b"data: " + b"x" * MAX_EVENT)
    assert splitter.feed(b"data: 1\n\n") == [b"data: 1\n\n"]


def test_the_fields_of_an_event():
    assert fields(b"event: a\r\nid: 7\r\ndata: 1\r\ndata:2\r\n\r\n") == ("a", b"1\n2")
    assert fields(b": comment\n\n") == ("", b"")


def test_a_long_event_in_many_small_reads_takes_time_in_proportion():
    splitter = EventSplitter()
    began = time.thread_time()
    for _ in range(200_000):
        assert splitter.feed(b"data: xxx\n") == []
    [event] = splitter.feed(b"\n")
    # copying what waits with each read would take minutes
    assert time.thread_time() - began < 10
    assert len(event) == 2_000_001
