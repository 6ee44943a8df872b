"""Repetition: a chunk that is the one before with another text says the same as one that is read in full."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.conversion.answers.chunk_fast_path import PATIENCE
from gateway.conversion.context import ToolFacts
from tests.examples import examples
from tests.grammar import assert_legal
from tests.playbook import call, chunk, finish, lines, plain, play_bytes, sse, stream_of, text, thought, usage

ASKED = {"thinking_requested": True}
CALL = call(0, "call_1", "Read", "")
# texts with what JSON escapes, what looks like JSON, and what a provider may write in two ways
TEXTS = st.text(st.sampled_from('aé中😀 "\\/\n\t{}[]:,<\x00\x7f'), min_size=0, max_size=8)
DELTAS = st.one_of(
    TEXTS.map(text),
    TEXTS.map(thought),
    TEXTS.map(lambda args: call(0, args=args)),
    TEXTS.map(lambda args: call(0, "call_1", args=args)),
    st.just(chunk({"content": "a", "reasoning_content": "b"})),
    st.just(chunk({"content": "a", "annotations": [{"type": "url_citation"}]})),
    st.just(chunk({"content": '"content":"a"'})),
    st.just(chunk({"content": "a"}, content="a")),
    st.just(chunk({"role": "assistant", "content": "a", "refusal": None})),
    st.just(call(1, "call_2", "Bash", '{"a":')),
    st.just({**text("a"), "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
    st.just(usage(3, 4)),
    st.just(finish("stop")),
)
# a chunk that occurs again and again is what is learnt
CHUNKS = st.lists(st.tuples(DELTAS, st.integers(1, 3)), max_size=12).map(
    lambda runs: [item for item, times in runs for _ in range(times)]
)


def written(item: dict[str, Any], *, ascii_only: bool, spaced: bool) -> bytes:
    separators = None if spaced else (",", ":")
    return json.dumps(item, ensure_ascii=ascii_only, separators=separators).encode()


@pytest.fixture
def learnt():
    """A stream that has learnt how a chunk of text looks."""
    stream = stream_of()
    stream.feed(sse(text("a"), text("b")))
    return stream


@settings(max_examples=examples(400))
@given(
    CHUNKS,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([["reasoning_content"], ["reasoning_content", "think_tags"]]),
    st.sampled_from([(), ("aa",)]),
)
def test_a_stream_whose_chunks_repeat_gives_the_events_of_one_that_is_read_in_full(
    chunks, ascii_only, spaced, together, places, stop_sequences
):
    datas = [written(item, ascii_only=ascii_only, spaced=spaced) for item in chunks]
    reads = [b"data: " + data + b"\n\n" for data in datas]
    # an event that is named is read in full
    in_full = [b"event: message\n" + read for read in reads]
    options, facts = {"reasoning_in": places}, {**ASKED, "local_stops": stop_sequences}
    expected = play_bytes(stream_of(options, **facts), in_full)
    assert play_bytes(stream_of(options, **facts), [b"".join(reads)] if together else reads) == expected
    if not any("error" in event["type"] for event in expected):
        assert_legal(expected)


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        ([text("a"), text("b")], text('b"\n'), '0 text b"\n'),
        ([thought("a"), thought("b")], thought("é"), "0 thinking é"),
        ([CALL, call(0, args='{"a":"')], call(0, args="b\\n"), "0 input_json b\\n"),
        ([{**CALL}, call(0, "call_1", args='{"a":"')], call(0, "call_1", args="b"), "0 input_json b"),
    ],
    ids=["text", "thinking", "arguments", "arguments with the id repeated"],
)
def test_what_repeats_comes_as_it_is_written(first, then, said):
    stream = stream_of(**ASKED)
    stream.feed(sse(*first))
    events = stream.feed(sse(then))
    assert [type(event) for event in events] == [bytes]
    assert lines(events) == [said]


def test_a_chunk_that_only_a_lenient_reading_takes_teaches_nothing_and_breaks_nothing():
    stream = stream_of(**ASKED)
    with_nan = sse(text("a")).replace(b'"index"', b'"logprobs": {"x": NaN}, "index"', 1)
    assert b"NaN" in with_nan
    events = stream.feed(with_nan + with_nan)
    assert stream.failure is None
    assert lines(events)[-1] == "0 text aa"


def test_a_tag_or_a_stop_sequence_is_still_found_in_what_repeats():
    stream = stream_of({"reasoning_in": ["think_tags"]}, **ASKED, local_stops=("END",))
    assert lines(stream.feed(sse(text("<thi"), text("nk>"), text("hm"), text("</think>"), text("a"))))[
        -1
    ] == ("1 text a")
    assert lines(stream.feed(sse(text("b E"), text("N"), text("D"))))[-1] == "message_stop"


def test_a_second_text_with_the_same_words_around_it_is_no_repetition(learnt):
    one = b'{"choices":[{"index":0,"delta":{"content":"%b"}}],"content":"%b"}'
    learnt.feed(b"data: " + one % (b"a", b"a") + b"\n\n")
    assert lines(learnt.feed(b"data: " + one % (b"b", b"c") + b"\n\n")) == ["0 text b"]


def test_the_words_of_a_chunk_inside_a_text_are_text(learnt):
    inside = '{"content":"a"}'
    assert lines(learnt.feed(sse(text(inside), text(inside)))) == [f"0 text {inside}{inside}"]


def test_half_a_pair_of_surrogates_is_read_as_ever(learnt):
    data = sse(text("x")).replace(b'"x"', rb'"\ud83d"')
    assert lines(learnt.feed(data)) == []
    assert lines(learnt.feed(sse(text("y")))) == ["0 text \ufffdy"]


@pytest.mark.parametrize("value", [b"1", b"null", b'["a"]', b'"a', b'"a"b"', b""])
def test_something_else_in_the_place_of_the_text_is_read_in_full(learnt, value):
    data = sse(text("x")).replace(b'"x"', value)
    in_full = stream_of()
    in_full.feed(sse(text("a")))
    assert plain(learnt.feed(data)) == plain(in_full.feed(b"event: message\n" + data))
    assert learnt.failure == in_full.failure or str(learnt.failure) == str(in_full.failure)


def test_a_stream_that_never_repeats_is_given_up_and_read_as_ever():
    stream = stream_of()
    for number in range(3 * PATIENCE):
        assert lines(stream.feed(sse(chunk({"content": "a"}, obfuscation=str(number)))))[-1] == "0 text a"
    events = stream.feed(sse(text("b"), text("b")))
    assert not any(isinstance(event, bytes) for event in events)


def test_a_keepalive_between_two_that_repeat_changes_nothing(learnt):
    assert len(learnt.keepalive()) == 1
    assert lines(learnt.feed(sse(text("b")))) == ["0 text b"]


def test_what_waits_behind_an_open_call_is_not_said_before_its_turn():
    stream = stream_of()
    stream.feed(sse(call(0, "a", "Read", '{"x":"'), call(0, args="1"), call(1, "b", "Bash", '{"y":"')))
    assert lines(stream.feed(sse(call(1, args="2"), call(1, args="3")))) == []
    assert lines(stream.feed(sse(call(0, args="4"), call(0, args="5")))) == ["0 input_json 45"]


def test_a_call_that_was_not_wanted_does_not_lend_its_fragments_to_the_one_that_was():
    # both have the index 0, as some providers count
    stream = stream_of(tools=ToolFacts(single_call=True))
    stream.feed(sse(call(0, "a", "Read", '{"x":"'), call(0, args="1")))
    assert lines(stream.feed(sse(call(0, args="2")))) == ["0 input_json 2"]
    assert lines(stream.feed(sse(call(0, "b", "Bash", '{"y":"'), call(0, args="3"), call(0, args="4")))) == []


def test_usage_and_the_end_come_behind_what_repeats(learnt):
    learnt.feed(sse(text("b"), text("c")))
    assert lines(learnt.feed(sse(finish("stop"), usage(7, 9))))[-2:] == ["end end_turn", "message_stop"]
    assert learnt.usage.at_end()["output_tokens"] == 9
    assert learnt.text_length == 4
