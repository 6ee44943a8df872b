"""Digests of shared values: those of their texts, made once."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from gateway.history.content.chunking import ROOT, Chain
from gateway.history.content.digests import Digests
from gateway.wire import jsontext
from tests.test_cache import held

values = st.lists(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=6,
)


@given(st.lists(values, max_size=4))
def test_a_chain_of_shared_values_has_the_digests_of_their_texts(several):
    for one in several * 2:
        assert Chain.recurring(one).digests == Chain(one, map(jsontext.dumps, one)).digests


def test_an_object_is_written_once_behind_the_same_parent(monkeypatch):
    written = []
    monkeypatch.setattr(jsontext, "dumps", lambda value: written.append(value) or b"{}")
    digests, value = Digests(), {"a": 1}
    one = digests.digest(ROOT, value)
    assert digests.digest(ROOT, value) == one == sha256(ROOT + b"{}").digest()
    assert digests.digest(one, value) != one
    digests.digest(ROOT, {"a": 1})
    assert len(written) == 3


def test_what_is_held_is_bounded_and_what_recurs_stays(monkeypatch):
    digests, kept = Digests(most=4_000), {"kept": 1}
    first = digests.digest(ROOT, kept)
    for number in range(2_000):
        digests.digest(ROOT, {"number": number})
        assert digests.digest(ROOT, kept) == first
        assert held(digests._known) <= 4_000
    digests.digest(ROOT, {"long": "x" * 3_000})
    assert held(digests._known) <= 4_000
    monkeypatch.setattr(jsontext, "dumps", lambda value: b"written again")
    assert digests.digest(ROOT, kept) == first
