import time

import pytest

from gateway import patterns
from gateway.routing import names


@pytest.mark.parametrize(
    ("asked", "tried"),
    [
        ("gpt-4o", ("gpt-4o",)),
        ("claude-opus-5[1m]", ("claude-opus-5[1m]", "claude-opus-5")),
        ("claude-opus-5[1M][1m]", ("claude-opus-5[1M][1m]", "claude-opus-5")),
        ("claude-haiku-4-5-20251001", ("claude-haiku-4-5-20251001", "claude-haiku-4-5")),
        (
            "claude-opus-4-20250514[1m]",
            ("claude-opus-4-20250514[1m]", "claude-opus-4-20250514", "claude-opus-4"),
        ),
        ("openai/gpt-4o", ("openai/gpt-4o", "gpt-4o")),
        ("a/b/c", ("a/b/c", "b/c")),
        (
            "x/y-20250101[1m]",
            ("x/y-20250101[1m]", "x/y-20250101", "x/y", "y-20250101[1m]", "y-20250101", "y"),
        ),
        ("model-12345678", ("model-12345678",)),
        ("gpt-4o-2024-08-06", ("gpt-4o-2024-08-06",)),
        ("trailing/", ("trailing/",)),
        ("[1m]", ("[1m]",)),
        ("", ()),
    ],
)
def test_the_spellings_of_a_name_in_the_order_they_are_tried(asked, tried):
    assert names.spellings(asked) == tried


@pytest.mark.parametrize(
    ("pattern", "name", "star"),
    [
        ("*", "anything", "anything"),
        ("*", "", ""),
        ("gpt-*", "GPT-4o", "4o"),
        ("*haiku*", "claude-haiku-4", "claude-"),
        ("*haiku*", "haiku", ""),
        ("a*b", "aXbYb", "XbY"),
        ("*-mini", "gpt-4o-mini", "gpt-4o"),
        ("a*b*c", "a1b2c", "1"),
        ("a**c", "a12c", "12"),
        ("x.y*", "x.y1", "1"),
        ("*", "two\nlines", "two\nlines"),
    ],
)
def test_a_pattern_matches_a_whole_name_and_tells_what_its_first_star_took(pattern, name, star):
    assert patterns.wildcard(pattern).fullmatch(name).group(1) == star


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("gpt-*", "my-gpt-4"), ("*-mini", "gpt-mini-2"), ("x.y*", "xzy"), ("a*b*c", "acb"), ("[ab]*", "a1")],
)
def test_a_pattern_does_not_match_more_than_it_says(pattern, name):
    assert patterns.wildcard(pattern).fullmatch(name) is None


def test_a_hostile_name_does_not_make_a_pattern_slow():
    started = time.thread_time()
    assert patterns.wildcard("*a*a*a*a*a*a*a*a*b").fullmatch("a" * 5000) is None
    assert time.thread_time() - started < 0.5


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [("GPT-4o", "gpt-4O", True), ("gpt-4o", "gpt-4o-mini", False), ("claude-*", "CLAUDE-x", True)],
)
def test_names_and_patterns_ignore_case(pattern, name, expected):
    assert names.matches(pattern, name) is expected
