"""Counts by class of text, several in one integer."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.profile import Profile
from gateway.conversion.requests.token_count import estimated
from gateway.conversion.token_counts import TokenCounts

counts = st.integers(0, 10_000_000)


@given(st.lists(st.tuples(counts, counts, counts), max_size=20))
def test_sums_of_packed_counts_are_packed_sums(parts):
    packed = sum(TokenCounts(sum(part), *part[1:]).packed for part in parts)
    rest, letters, cjk = (sum(part[place] for part in parts) for place in range(3))
    assert TokenCounts.unpacked(packed) == (rest + letters + cjk, letters, cjk)


def test_a_plain_number_is_a_packed_count_and_an_estimate_is_at_least_1():
    assert TokenCounts.unpacked(7) == (7, 0, 0)
    assert estimated(TokenCounts(0), Profile()) == 1


@given(counts, counts, counts, st.floats(0, 100), st.floats(0, 100))
def test_no_prices_make_a_count_negative(rest, letters, cjk, price, other):
    assert TokenCounts(rest + letters + cjk, letters, cjk).priced(price, other) >= 0
