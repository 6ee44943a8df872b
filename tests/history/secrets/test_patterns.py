"""Which patterns a text is searched for: those of which a literal stands in it, found in bounded pieces."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.history.secrets import patterns
from gateway.history.secrets.patterns import Suspects, of_admin, of_value
from gateway.masking.kinds import BUILT_IN
from gateway.routing.snapshot import SecretLook

MORE = (of_value("correct-horse_battery"), of_value('"a-b'), of_admin(SecretLook("always", "x+")))
EVERY = (*BUILT_IN, *MORE)
LITERALS = [literal for pattern in EVERY for literal in pattern.literals]
HALVES = [half for literal in LITERALS for half in (literal[:-1], literal[1:])]
PARTS = st.sampled_from([*LITERALS, *HALVES, b"-", b"_", b"---------------", b"a word "]) | st.binary(
    max_size=9
)


@given(
    parts=st.lists(PARTS, max_size=20),
    size=st.sampled_from([1, 7, 64, 10_000]),
    dense=st.sampled_from([0, 9, 99]),
)
def test_a_text_is_searched_for_the_patterns_whose_literals_it_has(parts, size, dense):
    text = b"".join(parts)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(patterns, "SLICE", size)
        changed.setattr(patterns, "_DENSE", dense)
        found = Suspects(MORE).of(text)
    wanted = [p for p in EVERY if not p.literals or any(literal in text for literal in p.literals)]
    assert found == wanted


@pytest.mark.parametrize("unit", [b"-", b"_", b"ab-", b"k_", b"sk-", b"-----BEGIN "])
def test_a_text_made_of_dividers_takes_no_memory(unit):
    text = unit * (4_000_000 // len(unit))
    suspects = Suspects()
    tracemalloc.start()
    try:
        suspects.of(text)
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()
