"""Think tags, prefill, local stops, invented nulls.

See docs/conversion.md, "Showing thinking", "Stop sequences", "Prefill" and "Structured output".
"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.answers.text_filters import PrefillEcho, StopScanner, VisibleText
from gateway.conversion.answers.thinking_marks import MarkedThinking
from gateway.conversion.profile import THINKING_MARKS
from tests.playbook import context_of


def split(step, *pieces):
    thinking = text = ""
    for part in [*map(step.feed, pieces), step.flush()]:
        thinking += part[0]
        text += part[1]
    return thinking, text


def scanned(sequences, *pieces):
    scanner = StopScanner(sequences)
    return "".join(scanner.feed(piece) for piece in pieces) + scanner.flush(), scanner.matched


@pytest.mark.parametrize(
    "text, thinking, visible",
    [
        ("<think>a</think>\nb", "a", "b"),
        ("<think>a</think>\n\nb", "a", "\nb"),
        (" \n<think>a</think>b", "a", "b"),
        ("<think>a", "a", ""),
        ("<think></think>b", "", "b"),
        ("b<think>a</think>", "", "b<think>a</think>"),
        ("<thin", "", "<thin"),
        ("<thinker>", "", "<thinker>"),
        ("a</think>b", "", "a</think>b"),
        ("<think>a</thi", "a</thi", ""),
        ("", "", ""),
    ],
)
def test_think_tags(text, thinking, visible):
    assert split(MarkedThinking(THINKING_MARKS), text) == (thinking, visible)
    assert split(MarkedThinking(THINKING_MARKS), *text) == (thinking, visible)


@pytest.mark.parametrize(
    "text, thinking, visible",
    [
        ("a</think>\nb", "a", "b"),
        ("all visible", "", "all visible"),
        ("<think>a</think>b", "a", "b"),
        ("a</thi", "", "a</thi"),
        (" a</think>", " a", ""),
    ],
)
def test_a_tag_that_the_template_has_opened(text, thinking, visible):
    assert split(MarkedThinking(THINKING_MARKS, opened=True), text) == (thinking, visible)
    assert split(MarkedThinking(THINKING_MARKS, opened=True), *text) == (thinking, visible)


@pytest.mark.parametrize(
    "prefill, text, expected",
    [
        ("{", '{"a":1}', '"a":1}'),
        ('{"a"', "{", "{"),
        ("abc", "abd", "abd"),
        ("abc", "abc", ""),
        ("abc", "xyz", "xyz"),
    ],
)
def test_prefill(prefill, text, expected):
    for pieces in ([text], list(text)):
        echo = PrefillEcho(prefill)
        assert "".join(map(echo.feed, pieces)) + echo.flush() == expected


@pytest.mark.parametrize(
    "sequences, text, shown, matched",
    [
        (("STOP",), "one STOP two", "one ", "STOP"),
        (("STOP",), "one STO", "one STO", None),
        (("ab", "abc"), "xabc", "x", "abc"),
        (("ab", "abc"), "xabd", "x", "ab"),
        (("ab", "abc"), "xab", "x", "ab"),
        (("bc", "abcd"), "abcx", "a", "bc"),
        (("bc", "abcd"), "abcd", "", "abcd"),
        (("aab",), "aaab", "a", "aab"),
        (("\n\n",), "a\n\nb", "a", "\n\n"),
    ],
)
def test_local_stops(sequences, text, shown, matched):
    assert scanned(sequences, text) == (shown, matched)
    assert scanned(sequences, *text) == (shown, matched)


def test_only_what_may_become_a_stop_is_held_back():
    scanner = StopScanner(("STOP",))
    assert scanner.feed("one ST") == "one "
    assert scanner.feed("X") == "STX"


@given(
    st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3, unique=True),
    st.lists(st.text("abc", max_size=4), max_size=6),
)
def test_any_cut_finds_the_same_stop(sequences, pieces):
    assert scanned(tuple(sequences), *pieces) == scanned(tuple(sequences), "".join(pieces))


@given(
    st.lists(st.text("ab", min_size=1, max_size=6), min_size=1, max_size=3, unique=True),
    st.lists(st.text("abc", max_size=9), max_size=6),
)
def test_the_stop_is_the_earliest_and_there_the_longest(sequences, pieces):
    text = "".join(pieces)
    found = [(text.find(one), -len(one), one) for one in sequences if one in text]
    expected = (text[: min(found)[0]], min(found)[2]) if found else (text, None)
    assert scanned(tuple(sequences), *pieces) == expected


@pytest.mark.parametrize(
    ("sequence", "text"),
    [
        ("a" * 100_000 + "b", "a" * 100_000),
        ("a" * 100_000 + "b", ("a" * 499 + "c") * 200),
        ("ab" * 50_000 + "c", "ab" * 50_000),
        (" ".join(f"{number}" for number in range(20_000)), " 0 1" * 25_000),
    ],
)
def test_a_long_stop_costs_as_much_as_a_short_one_for_each_piece(sequence, text):
    began = time.thread_time()
    scanned((sequence, sequence[1:]), *text)
    assert time.thread_time() - began < 2


HARMONY = ("<|channel|>analysis<|message|>", "<|end|>", "<|start|>assistant", "<|channel|>final<|message|>")
BITS = ("<think>", "</think>", "<", "th", "ink>", "\n", "a", "</", ". ", "`", "```\n", *HARMONY)


@given(
    st.lists(st.sampled_from(BITS), max_size=10),
    st.booleans(),
)
def test_any_cut_finds_the_same_thinking(pieces, opened):
    def marked():
        return MarkedThinking(THINKING_MARKS, opened=opened)

    assert split(marked(), *pieces) == split(marked(), "".join(pieces))


def test_nothing_to_do_is_plain():
    assert VisibleText(context_of()).plain
    assert not VisibleText(context_of(prefill="x")).plain
    assert not VisibleText(context_of({"reasoning_in": ["think_open"]})).plain


def test_stops_are_not_looked_for_in_thinking():
    text = VisibleText(context_of({"reasoning_in": ["think_tags"]}, local_stops=("STOP",)))
    assert text.feed("<think>STOP</think>a") == ("STOP", "a")
    assert text.matched is None


def test_invented_nulls_wait_for_the_whole_text():
    text = VisibleText(context_of(nullable_paths=(("b",),)))
    assert text.feed('{"a":1,"b"') == ("", "")
    assert text.feed(":null}") == ("", "")
    assert text.flush() == ("", '{"a":1}')


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<think>", "</think>"),
        ("<reasoning>", "</reasoning>"),
        ("<mm:think>", "</mm:think>"),
        ("[THINK]", "[/THINK]"),
        ("<Think>", "</Think>"),
        ("<|channel>thought", "<channel|>"),
        ("<unused94>thought", "<unused95>"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_thinking_between_the_marks_of_any_model_is_no_text(opening, closing, size):
    told = f"{opening}plan <b>{closing}\nAnswer {closing} here"
    tags = MarkedThinking(THINKING_MARKS)
    pairs = [tags.feed(told[at : at + size]) for at in range(0, len(told), size)] + [tags.flush()]
    assert "".join(thinking for thinking, _ in pairs) == "plan <b>"
    assert "".join(text for _, text in pairs) == f"Answer {closing} here"


@pytest.mark.parametrize("size", [1, 100])
def test_the_end_of_thinking_in_front_of_the_text_is_left_out(size):
    told = "</think>\nHello"
    tags = MarkedThinking(THINKING_MARKS)
    pairs = [tags.feed(told[at : at + size]) for at in range(0, len(told), size)] + [tags.flush()]
    assert ["".join(side) for side in zip(*pairs, strict=True)] == ["", "Hello"]


@pytest.mark.parametrize(
    ("text", "thinking", "visible"),
    [
        # in the middle of a text, where a sentence could begin
        ("Sure. <think>plan</think>Answer", "plan", "Sure. Answer"),
        ("Sure.\n<think>plan</think>\nAnswer", "plan", "Sure.\n\nAnswer"),
        ("<think>a</think>One. [THINK]b[/THINK]Two", "ab", "One. Two"),
        ("<think>a</think>\n<think>b</think>\nTwo", "ab", "Two"),
        # without an end it is text
        ("Sure. <think>plan", "", "Sure. <think>plan"),
        # words that the model writes about
        ("Use the <think> tag and </think> behind it.", "", "Use the <think> tag and </think> behind it."),
        ("Write `<think>` here: `<think>a</think>`", "", "Write `<think>` here: `<think>a</think>`"),
        ("Code:\n```\n<think>a</think>\n```\nEnd", "", "Code:\n```\n<think>a</think>\n```\nEnd"),
        ('{"a": "<think>"}', "", '{"a": "<think>"}'),
        # ends alone
        ("</think>\n\nHello", "", "\nHello"),
        ("<think>a</think></think>Hello", "a", "Hello"),
        ("I see</think>\nHello", "", "I see\nHello"),
        ("Hello</think>", "", "Hello"),
        # the channels of harmony
        (
            "<|channel|>analysis<|message|>plan<|end|><|start|>assistant<|channel|>final<|message|>Answer",
            "plan",
            "Answer",
        ),
        ("<|channel|>final<|message|>Answer<|return|>", "", "Answer"),
        (
            "<|channel|>commentary<|message|>I look.<|end|>"
            "<|start|>assistant<|channel|>final<|message|>Answer",
            "",
            "I look.Answer",
        ),
        ("Hello<|im_end|>", "", "Hello"),
        ("The token <|im_end|> ends a turn.", "", "The token <|im_end|> ends a turn."),
        (
            "<|start|>assistant<|channel|>analysis<|message|>a<|end|>"
            "<|channel|>analysis<|message|>b<|end|>Answer",
            "ab",
            "Answer",
        ),
    ],
)
def test_a_block_of_thinking_is_told_from_words_about_it(text, thinking, visible):
    for pieces in ([text], list(text), [text[:9], text[9:]]):
        assert split(MarkedThinking(THINKING_MARKS), *pieces) == (thinking, visible)


def test_the_marks_are_those_of_the_profile():
    context = context_of({"reasoning_in": ["think_tags"], "thinking_marks": [["<<", ">>"], ["%%", ""]]})
    assert split(VisibleText(context), "%%<<a>>b <think>") == ("a", "b <think>")
    assert VisibleText(context_of({"reasoning_in": ["think_tags"], "thinking_marks": []})).plain


def test_marks_that_never_end_cost_time_in_proportion_to_the_text():
    for text in ("Yes. <think>" + "</thin" * 10_000, "`" * 50_000, "<" * 50_000, ". <think" * 8_000):
        began = time.thread_time()
        split(MarkedThinking(THINKING_MARKS), *text)
        split(MarkedThinking(THINKING_MARKS), text)
        assert time.thread_time() - began < 6


@pytest.mark.parametrize(
    "unit", ["<think>b</think>c.\n", "</think>x\n", "a <think> b. ", "`<think>`, ", "\n", "<think>"]
)
def test_a_long_piece_full_of_marks_costs_as_much_as_its_length(unit):
    def cost(size):
        marked = MarkedThinking((("<think>", "</think>"),))
        began = time.process_time()
        marked.feed(unit * (size // len(unit)))
        marked.flush()
        return time.process_time() - began

    # in proportion it is 8 times, with the square 64; the shorter one is long enough for a clock
    short = min(cost(250_000) for _ in range(3))
    assert min(cost(2_000_000) for _ in range(2)) < 30 * short + 0.1
