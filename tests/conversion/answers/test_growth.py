"""Deltas and growing pieces: nothing is lost, and nothing said twice."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.conversion.answers.growth import Growth
from tests.conversion.answers.test_odd_forms import READ, READ_TEXT, streamed
from tests.conversion.answers.test_stream_properties import accumulated
from tests.examples import examples
from tests.playbook import DONE, call, chunk, finish, play, stream_of, text, thought

ASKED = {"thinking_requested": True}


def read(pieces):
    growth = Growth()
    said = [growth.rest(piece) for piece in pieces]
    return "".join(said) + growth.settle(), growth


GROWING = [
    ["I ", "I think ", "I think so."],
    ["Here", "Here is it:", "Here is it:\n| a |"],
    ["I think that this is how it is done,", "I think that this is how it is done, so."],
    ["I think", "I think", "I think so.", "I think so."],
    ["\n", "\nI", "\nI see"],
    ["", "I", "I see", "I see it"],
    ["He", "Hello you", "Hello you", "Hello you all"],
    ["=", "==", "===", "===="],
    ["我", "我想", "我想好了"],
]
DELTAS = [
    ["ha", "haha", " that is funny"],
    ["ha", "haha"],
    ["ha", "ha", "ha", "!"],
    ["a", "and"],
    ["import os", "import os.path\n"],
    ["import os", "import os.path\n", "import re\n"],
    ["self.name", "self.name = name\n", "        self.age = age\n"],
    ["1", "10", "2"],
    ["I ", "think ", "I think so"],
    ["Let me", " see. ", "Let me look."],
    ["- ", "- ", "- "],
    ["\n", "\n\n", "Well"],
    ["no no ", "no no ", "no no no"],
]


@pytest.mark.parametrize("pieces", GROWING)
def test_pieces_that_grow_are_said_once(pieces):
    assert read(pieces)[0] == pieces[-1]


@pytest.mark.parametrize("pieces", DELTAS)
def test_deltas_that_begin_alike_are_all_said(pieces):
    assert read(pieces)[0] == "".join(pieces)


def test_a_long_text_that_only_comes_again_is_a_repetition():
    assert read(["I have a plan", "I have a plan"])[0] == "I have a plan"
    assert read(["I have a plan"] * 3)[0] == "I have a plan" * 3


@settings(max_examples=examples(300))
@given(st.lists(st.text("ab ", max_size=3), max_size=12))
def test_whatever_comes_is_read_as_one_of_the_two_and_little_is_held_back(pieces):
    said, growth = read(pieces)
    told = [piece for piece in pieces if piece]
    readings = {"".join(told), told[-1] if told else ""}
    if growth.grows:  # what does not go on begins anew
        assert "".join(told).endswith(said[-1:])
    else:
        assert said in readings
    assert not growth.holds


@settings(max_examples=examples(200))
@given(st.text("abc d", min_size=12, max_size=60), st.lists(st.integers(1, 60), min_size=3, max_size=8))
def test_a_text_told_from_its_beginning_each_time_is_itself(whole, places):
    ends = sorted({*(min(place, len(whole)) for place in places), len(whole)})
    pieces = [whole[:end] for end in ends]
    news = [after[len(before) :] for before, after in itertools.pairwise(pieces)]
    short = len(pieces) < 4 and len(pieces[0]) < 32
    repeats = any(new.startswith(old) or old.startswith(new) for old, new in zip(pieces, news, strict=False))
    if not short and not repeats:
        assert read(pieces)[0] == whole


def test_text_that_grows_is_told_once_and_so_is_a_call_behind_it():
    grown = [text("I "), text("I look "), text("I look at"), text("I look at it.")]
    assert streamed(*grown, call(0, "c", "Read", READ_TEXT), finish("tool_calls")) == ["I look at it.", READ]


def test_text_held_back_comes_in_front_of_what_follows():
    haha = [text("ha"), text("haha")]
    assert streamed(*haha, call(0, "c", "Read", READ_TEXT), finish("tool_calls")) == ["hahaha", READ]
    assert streamed(*haha, finish("stop")) == ["hahaha"]
    thoughts = [thought("ha"), thought("haha"), text("Yes")]
    assert streamed(*thoughts, finish("stop"), **ASKED) == ["hahaha", "Yes"]


def test_a_text_held_back_is_still_searched_for_a_stop_sequence():
    chunks = [text("ha"), text("haSTOP it"), finish("stop")]
    assert streamed(*chunks, local_stops=("STOP",)) == ["haha"]


def test_text_in_one_piece_that_comes_again_with_the_reason_is_there_once():
    assert streamed(text("Hello there"), chunk({"content": "Hello there"}, "stop")) == ["Hello there"]
    assert streamed(text("ha ha ha ha "), chunk({"content": "ha ha ha ha "}, "stop")) == ["ha ha ha ha " * 2]


@pytest.mark.parametrize("done", [(), (DONE,)])
def test_a_repetition_behind_the_finish_takes_no_reason_back(done):
    grown = [thought("Hello"), thought("Hello the"), thought("Hello the world"), text("Yes, it is.")]
    events = play(stream_of(**ASKED), *grown, finish("length"), thought("Hello the world"), *done)
    assert accumulated(events)["stop_reason"] == "max_tokens"


def test_candidates_that_begin_alike_are_both_said():
    beginnings = ("Hello the", "Hello the world")
    both = [{"index": number, "delta": {"content": said}} for number, said in enumerate(beginnings)]
    assert "".join(streamed({"choices": both}, finish("stop"))) == "".join(beginnings)


def test_a_call_that_is_told_again_is_no_part_of_the_next_one():
    fragments = [
        call(0, "c1", "Read", '{"file_path": "a"}'), call(1, "c2", "Bash", '{"command":'),
        call(0, args='{"file_path": "a"}'), call(1, args=' "ls"}'),
    ]  # fmt: skip
    told = streamed(*fragments, finish("tool_calls"))
    assert told == [("Read", {"file_path": "a"}), ("Bash", {"command": "ls"})]
