"""Tokens by the rule or by a real vocabulary, and what happens where there is none."""

import base64
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.token_counts import TokenCounts
from gateway.conversion.tokens import vocabulary
from gateway.conversion.tokens.lexical_rule import lexical_tokens
from gateway.conversion.tokens.vocabulary import LONG, RULE, text_tokens

real = pytest.mark.skipif(not vocabulary.available(), reason="no wheel of the vocabulary for this system")
O200K = "o200k_base"
DOCS = Path(__file__).parents[3] / "docs"
by_all = pytest.mark.parametrize("name", [RULE, pytest.param(O200K, marks=real)])
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
    assert text_tokens(text, O200K) == (tokens, 0, 0)


@by_all
def test_a_long_text_is_sampled_and_near_the_whole(name):
    words = random.Random(7).choices([*CODE.split(), "Привет,", "как", "дела?", "你好", "世界"], k=40_000)
    text = " ".join(words)
    assert len(text) > 2 * LONG
    parts = [text_tokens(text[start : start + LONG], name) for start in range(0, len(text), LONG)]
    whole = [sum(counts) for counts in zip(*parts, strict=True)]
    assert text_tokens(text, name) == pytest.approx(whole, rel=0.06)
    assert text_tokens(text, name).total == pytest.approx(whole[0], rel=0.03)


@by_all
def test_just_above_the_limit_is_near_just_below_it(name):
    text = CODE * 1000
    below, above = (text_tokens(text[:size], name).total for size in (LONG, LONG + 1))
    assert above == pytest.approx(below, rel=0.03)


@by_all
def test_a_lone_surrogate_does_no_harm(name):
    assert text_tokens("a\ud800b", name).total > 0
    assert text_tokens("x" * LONG + "\ud800", name).total > 0


@by_all
@given(text=st.text(st.characters(codec=None), max_size=300))
def test_any_text_has_a_number_of_tokens_that_is_not_absurd(name, text):
    assert 0 <= text_tokens(text, name).total <= 4 * len(text) + 1


def test_hostile_texts_are_counted_in_bounded_work(monkeypatch):
    counted = []
    known = TokenCounts(1)
    monkeypatch.setattr(vocabulary, "_counted", lambda texts, _name: counted.extend(texts) or known)
    noise = base64.b64encode(random.Random(1).randbytes(600_000)).decode()
    text_tokens(noise)
    assert sum(map(len, counted)) < LONG


@real
def test_the_rule_is_near_the_vocabulary_for_what_a_coding_client_sends():
    for path in (Path(vocabulary.__file__), DOCS / "conversion.md", DOCS / "architecture.md"):
        text = path.read_text()
        assert text_tokens(text).total == pytest.approx(text_tokens(text, O200K).total, rel=0.12)


@real
def test_a_vocabulary_is_ready_once_it_was_loaded(monkeypatch):
    monkeypatch.setattr(vocabulary, "_loaded", set())
    assert not vocabulary.ready(O200K)
    vocabulary.prepare(O200K)
    assert vocabulary.ready(O200K)


def test_the_rule_needs_nothing_to_be_loaded():
    assert vocabulary.ready(RULE)


def test_without_a_wheel_the_rule_counts(monkeypatch):
    monkeypatch.setattr(vocabulary, "toktok", None)
    assert text_tokens(CODE, O200K) == lexical_tokens(CODE)
    assert not vocabulary.available()
    assert vocabulary.ready(O200K)
