"""From a text to a number of tokens by the rule, against the rule written run by run."""

import math
import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.tokens.lexical_rule import lexical_tokens


def price(run, before):
    """One run, and the character before it."""
    size = len(run)
    if run[0].isalpha():
        return 0.94 + 0.39 * (size >= 8) + 0.47 * max(0, size - 16)
    if run[0].isdigit():
        return 1.48 * math.ceil(size / 3) + 0.61 * (before in ("\t", " "))
    if run[0] in " \t":
        return 0.35 * (size > 1)
    if run[0] in "\n\r":
        return 1.08
    return 0.71 if size == 1 else 0.89 + 0.105 * size


def plainly(text):
    """The rule for ASCII text without runs that look random."""
    tokens, before = 0.0, ""
    for run in re.findall(r"[A-Za-z]+|[0-9]+|[ \t]+|[\n\r]+|[^A-Za-z0-9 \t\n\r]+", text):
        tokens += price(run, before)
        before = run[-1]
    return math.ceil(tokens - 1e-6)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("hi", 1),
        ("letters", 1),
        ("lettersx", 2),
        ("a" * 11, 2),
        ("a" * 12, 2),
        ("a" * 16, 2),
        ("a" * 17, 2),
        ("a" * 45, 15),
        ("one two", 2),
        ("one  two", 3),
        ("1", 2),
        ("123", 2),
        ("1234", 3),
        ("1234567", 5),
        ("a 12", 4),
        ("one\n\n\ntwo", 3),
        ("one\r\ntwo", 3),
        (".", 1),
        ("...", 2),
        ("a.b", 3),
        ("漢字漢字", 3),
        ("한국어 한국어", 5),
        ("привет", 3),
        ("😀", 2),
        ("—", 1),
        ("\ud800", 1),
    ],
)
def test_each_kind_of_run_has_its_price(text, tokens):
    assert lexical_tokens(text).total == tokens


@pytest.mark.parametrize(
    ("text", "letters", "cjk"),
    [
        ("one two 3 {} — 😀", 0, 0),
        ("прив", 1, 0),
        ("привет", 2, 0),
        ("größe", 3, 0),
        ("καλημερα", 4, 0),
        ("漢字漢字", 0, 2),
        ("한국어", 0, 2),
        ("ひらがな", 0, 2),
        ("да 漢字漢字", 0, 2),
    ],
)
def test_letters_of_other_alphabets_and_ideographs_are_counted_apart(text, letters, cjk):
    assert lexical_tokens(text)[1:] == (letters, cjk)


@given(st.text(max_size=300))
def test_the_classes_are_a_part_of_the_whole(text):
    total, letters, cjk = lexical_tokens(text)
    assert letters >= 0
    assert cjk >= 0
    assert letters + cjk <= total


@given(
    st.lists(
        st.sampled_from(
            ["word", "aLongerIdentifier", "x" * 18, "42", "12345678", " ", "\n", "    ", ".", "{}", '":']
        )
    )
)
def test_it_is_the_rule_written_run_by_run(pieces):
    text = " ".join("".join(pieces[i : i + 5])[:39] for i in range(0, len(pieces), 5))
    assert lexical_tokens(text).total == plainly(text)


@given(st.text(max_size=300))
def test_any_text_has_a_number_and_no_more_than_two_tokens_a_character(text):
    assert 0 <= lexical_tokens(text).total <= 2 * len(text)


def test_a_text_longer_than_a_chunk_costs_what_its_parts_cost():
    text = "def function(argument: int = 1) -> str:\n    return f'{argument}'\n" * 2000
    assert lexical_tokens(text).total == pytest.approx(plainly(text), abs=4)


@pytest.mark.parametrize("length", [40, 76, 1000, 40_000])
def test_base64_and_hexadecimal_cost_two_thirds_of_a_token_each_character(length):
    chance = random.Random(length)
    for alphabet in ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "0123456789abcdef"):
        text = "".join(chance.choice(alphabet) for _ in range(length))
        assert lexical_tokens(text).total == pytest.approx(0.68 * length, rel=0.05)


@pytest.mark.parametrize(
    "text",
    [
        "=" * 100,
        "a" * 100,
        "/home/user/project/source/conversion/tests/test_tokens",
        "some_snake_case_name_" * 5,
    ],
)
def test_rules_paths_and_identifiers_are_not_taken_for_base64(text):
    assert lexical_tokens(text).total == plainly(text)


def test_a_very_long_number_is_counted_once():
    assert lexical_tokens("1 " + "7" * 30_000).total == pytest.approx(0.68 * 30_000, rel=0.01)
    assert lexical_tokens("7" * 39).total == math.ceil(13 * 1.48)


@pytest.mark.parametrize(
    "unit", ["def f(x):\n    return x + 1\n", "漢字かな", "a" * 8, '{"a":1}', "9 ", "é. "]
)
def test_a_megabyte_takes_far_less_than_300_milliseconds(unit):
    text = unit * (1_000_000 // len(unit.encode()))
    started = time.thread_time()
    lexical_tokens(text)
    assert time.thread_time() - started < 0.3
