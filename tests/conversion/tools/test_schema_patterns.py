"""Patterns as llama.cpp can follow them: the same strings, in fewer words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.tools.schema_patterns import grammar_pattern

PIECES = st.sampled_from(
    [
        *("a", "Z", "0", "-", "_", "/", " ", "^", "$", ".", '"', "\\", "|", "(", ")", "*", "+", "?"),
        *("\\d", "\\w", "\\.", "\\-", "\\$", "\\?", "\\S", "[a-f]", "[\\w.-]", "[^a]", "[-x]", "[$]"),
        *("(ab|c)", "(?:x)", "(?=y)", "{2}", "{1,3}", "{,2}", "{2,}"),
    ]
)


@pytest.mark.parametrize(
    ("pattern", "sent"),
    [
        ("^[0-9]{4}$", "^[0-9]{4}$"),
        (r"^\d{4}-\d{2}$", "^[0-9]{4}-[0-9]{2}$"),
        (r"^(?:\w+\.)*x$", r"^([A-Za-z0-9_]+\.)*x$"),
        (r"^[\w\-.]+$", "^[A-Za-z0-9_.-]+$"),
        ("^a{1,}$", "^a{1,}$"),
        ("[0-9]{4}", None),
        (r"^\S+$", None),
        ("^.*$", None),
        ('^[^"]$', None),
        ("^(?!x)y$", None),
        ("^a|b$", None),
        ("^(a*)*$", None),
        ("^(a{100}){100}$", None),
        ("^a+?$", None),
        (r"^x\$", None),
        ("^$", None),
        ("^" + "(" * 200 + "a" + ")" * 200 + "$", None),
        ("^" + "a" * 5_000 + "$", None),
    ],
)
def test_a_pattern_is_written_in_llama_cpps_terms_or_not_at_all(pattern, sent):
    assert grammar_pattern(pattern) == sent


@given(pieces=st.lists(PIECES, max_size=6), data=st.data())
def test_the_pattern_sent_takes_the_very_strings_of_the_one_given(pieces, data):
    pattern = f"^{''.join(pieces)}$"
    sent = grammar_pattern(pattern)
    if sent is None:
        return
    assert grammar_pattern(sent) == sent
    ours, theirs = re.compile(sent, re.ASCII), re.compile(pattern, re.ASCII)
    text = data.draw(
        st.from_regex(ours, fullmatch=True) | st.from_regex(theirs, fullmatch=True) | st.text("ab01-.$?")
    )
    assert (ours.fullmatch(text) is None) == (theirs.fullmatch(text) is None)
