"""Tokens by a real vocabulary, and what happens where there is none."""

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion import vocabulary
from gateway.conversion.lexical import lexical_tokens
from gateway.conversion.vocabulary import LONG, vocabulary_tokens

real = pytest.mark.skipif(not vocabulary.available(), reason="no wheel of the vocabulary for this system")
CODE = "def answer(question: str) -> int:\n    return len(question.split()) * 42  # of course\n"


@real
@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("hello world", 2),
        ("tiktoken is great!", 6),
        ("<|endoftext|>", 7),
        ("antidisestablishmentarianism", 6),
    ],
)
def test_it_counts_as_the_published_vocabulary(text, tokens):
    assert vocabulary_tokens(text) == tokens


@real
def test_a_long_text_is_sampled_and_near_the_whole():
    words = random.Random(7).choices([*CODE.split(), "Привет,", "как", "дела?", "你好", "世界"], k=40_000)
    text = " ".join(words)
    assert len(text) > 2 * LONG
    whole = sum(vocabulary_tokens(text[start : start + LONG]) for start in range(0, len(text), LONG))
    assert vocabulary_tokens(text) == pytest.approx(whole, rel=0.03)


def test_just_above_the_limit_is_near_just_below_it():
    text = CODE * 1000
    below, above = vocabulary_tokens(text[:LONG]), vocabulary_tokens(text[: LONG + 1])
    assert above == pytest.approx(below, rel=0.03)


def test_a_lone_surrogate_does_no_harm():
    assert vocabulary_tokens("a\ud800b") > 0
    assert vocabulary_tokens("x" * LONG + "\ud800") > 0


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_has_a_number_of_tokens_that_is_not_absurd(text):
    assert 0 <= vocabulary_tokens(text) <= 4 * len(text) + 1


def test_hostile_texts_are_counted_in_bounded_work(monkeypatch):
    counted = []
    monkeypatch.setattr(vocabulary, "_counted", lambda texts: counted.extend(texts) or [len(texts)])
    monkeypatch.setattr(vocabulary, "toktok", object())
    noise = base64.b64encode(random.Random(1).randbytes(600_000)).decode()
    vocabulary_tokens(noise)
    assert sum(map(len, counted)) < LONG


def test_without_a_wheel_the_lexical_rule_counts(monkeypatch):
    monkeypatch.setattr(vocabulary, "toktok", None)
    assert vocabulary_tokens(CODE) == lexical_tokens(CODE)
    assert not vocabulary.available()
    vocabulary.prepare()
