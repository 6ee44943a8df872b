"""How text is cut into words, and what a query means."""

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.history.search import tokenizer as words_module
from gateway.history.search.tokenizer import LONGEST_WORD, MOST_WORDS, Term, indexed, message_texts, terms


def cut(*texts):
    return indexed(iter(texts))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", "hello world"),
        ("def read_file(path): pass", "def read file path pass"),
        ("src/app/views.py:12", "src app views py 12"),
        ("Größe ÉTÉ", "größe été"),
        ("数据库 error", "数 据 库 error"),
        ("a" * (LONGEST_WORD + 1) + " b", "b"),
        ("nul\x00in 'quotes' & | ! <->", "nul in quotes"),
        ("", ""),
    ],
)
def test_text_is_cut_into_words(text, expected):
    assert cut(text) == expected


def test_a_long_text_is_indexed_by_its_beginning():
    assert len(cut("word " * (MOST_WORDS + 5)).split()) == MOST_WORDS


_TEXTS = st.text(st.sampled_from("aB9_- .\n\t\x00éßİΣ数่🙂\ud800\u2028\u00a0"), max_size=60) | st.text(
    max_size=60
)


@given(parts=st.lists(_TEXTS | st.sampled_from(["a" * 64, "b" * 65, "é" * 64, "ü" * 65]), max_size=12))
def test_a_text_is_cut_as_the_pattern_says(parts):
    text = "".join(parts)
    found = re.findall(words_module._WORD, text.lower())
    assert list(words_module.words(text)) == [word for word in found if len(word) <= LONGEST_WORD]


@pytest.mark.parametrize("space", [" ", "\n", "-", ",", '","'])
def test_a_text_that_is_cut_in_portions_loses_no_word(monkeypatch, space):
    monkeypatch.setattr(words_module, "AT_ONCE", 40)
    every = [f"word{number}" for number in range(200)]
    assert list(words_module.words(space.join(every))) == every


@pytest.mark.parametrize("unit", ['"ab",', "1e5,", "-", "Ab", "数", "É", "\ud800,"])
def test_a_long_text_without_spaces_is_cut_in_portions_too(unit):
    # lone surrogates are no words, so all of them are read, and slowly while memory is traced
    length = 1_000_000 if unit.startswith("\ud800") else 3_000_000
    text = unit * (length // len(unit))
    tracemalloc.start()
    try:
        indexed(iter([text]))
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Timeout error", [Term(("timeout",)), Term(("error",))]),
        ('"connection refused" host', [Term(("connection", "refused")), Term(("host",))]),
        ("conn*", [Term(("conn",), prefix=True)]),
        ("read_file", [Term(("read", "file"))]),
        ("数据库", [Term(("数", "据", "库"))]),
        ('"unfinished phrase', [Term(("unfinished", "phrase"))]),
        ("* \" OR ' & ) (", [Term(("or",))]),
    ],
)
def test_a_query_is_words_phrases_and_beginnings(query, expected):
    found = terms(query)
    assert found == expected or {word for term in found for word in term.words} == {"or"}


def test_what_is_said_in_a_message_is_texts_thinking_arguments_and_results():
    message = {
        "role": "user",
        "content": [
            {"type": "text", "text": "one"},
            {"type": "thinking", "thinking": "two", "signature": "secret"},
            {"type": "tool_use", "name": "Bash", "input": {"command": "three", "more": [{"x": "four"}]}},
            {"type": "tool_result", "content": [{"type": "text", "text": "five"}, {"type": "image"}]},
            {"type": "tool_result", "content": "six"},
            {"type": "image", "source": {"type": "base64", "data": "no"}},
            "nonsense",
        ],
    }  # fmt: skip
    assert cut(*message_texts(message)) == "one two bash three four five six"


@pytest.mark.parametrize(
    "message", [None, [], {}, {"content": 7}, {"content": [{"type": "text", "text": None}]}]
)
def test_a_message_of_any_shape_is_no_error(message):
    assert cut(*message_texts(message)) == ""
