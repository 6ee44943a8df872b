"""Text that a provider says again as a whole, behind filters and in front of the end."""

from __future__ import annotations

import pytest

from tests.conversion.answers.test_odd_forms import streamed
from tests.playbook import chunk, finish, text, thought

TAGS = {"reasoning_in": ["think_tags"]}
THOUGHT, SAID = "<think>plan a</think>", ["The answer is ", "forty-two."]
WHOLE = "".join(SAID)


def told(*chunks, options=TAGS):
    return "".join(said for said in streamed(*chunks, options=options) if isinstance(said, str))


@pytest.mark.parametrize("again", [THOUGHT + WHOLE, WHOLE])
@pytest.mark.parametrize("more", ["", " And more."])
def test_a_last_chunk_that_repeats_the_text_with_its_marks_adds_what_is_new(again, more):
    chunks = [text(THOUGHT), *map(text, SAID), chunk({"content": again + more}, "stop")]
    assert told(*chunks).endswith(WHOLE + more) and told(*chunks).count(WHOLE) == 1


@pytest.mark.parametrize("options", [TAGS, {}])
def test_a_repetition_one_chunk_before_the_finish_is_one(options):
    assert told(*map(text, SAID), text(WHOLE), finish("stop"), options=options) == WHOLE
    many = [*map(text, ["One ", "two ", "three ", "four ", "five."]), text("One two three four five.")]
    assert told(*many, finish("stop"), options=options) == "One two three four five."


@pytest.mark.parametrize("options", [TAGS, {}])
def test_a_text_that_goes_on_behind_its_own_repetition_is_the_models(options):
    chunks = [*map(text, SAID), text(WHOLE), text(" Sure?"), finish("stop")]
    assert told(*chunks, options=options) == WHOLE * 2 + " Sure?"


def test_a_last_chunk_that_only_begins_alike_is_all_new():
    assert told(text("No, "), text("no, "), chunk({"content": "no, no, never."}, "stop")) == (
        "No, no, no, no, never."
    )


@pytest.mark.parametrize(
    "said",
    [
        ["a line\n", "a line\n", "a line\n", "end"],
        ["ab", "cd", "abcd", "abcd", "abcd", "x"],
        ["ab", "cd", "abcd", "abcd", "x"],
        ["ab", "cd", "abcd", "abcd"],
    ],
)
@pytest.mark.parametrize("options", [TAGS, {}])
def test_what_is_said_more_than_twice_is_the_models(said, options):
    assert told(*map(text, said), finish("stop"), options=options) == "".join(said)
    last = chunk({"content": said[-1]}, "stop")
    assert told(*map(text, said[:-1]), last, options=options) == "".join(said)


def test_a_repetition_in_front_of_thinking_is_one():
    chunks = [*map(text, SAID), text(WHOLE), thought("hm"), text(" More."), finish("stop")]
    assert told(*chunks, options={}) == WHOLE + " More."
    both = chunk({"reasoning_content": "hm", "content": " More."})
    assert told(*chunks[:3], both, finish("stop"), options={}) == WHOLE + " More."
