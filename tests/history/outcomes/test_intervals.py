"""Intervals contain the true value as often as they say, and tell when there is too little."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.history.outcomes.intervals import LEAST, mean, median, rate, ratio, share
from gateway.models.history.hourly_total import FIRST_BYTE_BOUNDS


def test_shares_have_the_published_interval_of_wilson():
    found = share(15, 50)
    assert (round(found.low, 4), round(found.high, 4)) == (0.191, 0.4375)
    none = share(0, 10)
    assert none.value == 0 and none.low == 0 and round(none.high, 4) == 0.2775


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_share_lies_in_its_interval(part, whole):
    found = share(part, whole)
    if whole == 0:
        assert found.value is None and found.too_few
    else:
        assert 0 <= found.low <= found.value <= found.high <= 1


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 10**7)), max_size=40))
def test_a_ratio_lies_in_its_interval(pairs):
    found = ratio(
        len(pairs), sum(x for x, _ in pairs), sum(y for _, y in pairs), sum(x * x for x, _ in pairs),
        sum(y * y for _, y in pairs), sum(x * y for x, y in pairs),
    )  # fmt: skip
    assert found.value is None if not pairs else 0 <= found.low <= found.value <= found.high


def test_a_mean_has_the_usual_interval():
    values = [1, 2, 3, 4]
    found = mean(4, sum(values), sum(value * value for value in values))
    # 1.96 times the deviation 1.291, by the root of 4
    assert (found.value, round(found.low, 3), round(found.high, 3)) == (2.5, 1.235, 3.765)


@pytest.mark.parametrize(("events", "low", "high"), [(0, 0.0, 3.69), (1, 0.025, 5.57), (10, 4.795, 18.39)])
def test_counts_have_nearly_the_exact_interval_of_poisson(events, low, high):
    found = rate(events, 1)
    assert found.low == pytest.approx(low, abs=0.06) and found.high == pytest.approx(high, rel=0.02)


def covered(make, truth, times=400):
    dice = random.Random(3)
    return sum(found.low <= truth <= found.high for found in (make(dice) for _ in range(times))) / times


def test_intervals_contain_the_truth_nineteen_times_out_of_twenty():
    def a_share(dice):
        return share(sum(dice.random() < 0.06 for _ in range(200)), 200)

    def a_mean(dice):
        values = [dice.expovariate(1 / 5) for _ in range(200)]
        return mean(200, sum(values), sum(value**2 for value in values))

    def a_ratio(dice):
        pairs = [
            (seconds * dice.uniform(30, 50), seconds) for seconds in (dice.uniform(1, 9) for _ in range(100))
        ]
        return ratio(
            100, sum(x for x, _ in pairs), sum(y for _, y in pairs), sum(x * x for x, _ in pairs),
            sum(y * y for _, y in pairs), sum(x * y for x, y in pairs),
        )  # fmt: skip

    for make, truth in ((a_share, 0.06), (a_mean, 5), (a_ratio, 40)):
        assert 0.91 <= covered(make, truth) <= 0.99


def test_the_median_of_buckets_lies_between_its_ranks():
    counts = [0] * (len(FIRST_BYTE_BOUNDS) + 1)
    counts[5], counts[6], counts[7] = 40, 40, 40
    found = median(counts)
    assert 400 < found.value < 500 and 300 <= found.low < found.value < found.high <= 700
    assert median([0] * len(counts)).value is None


def test_too_few_is_said_and_concludes_nothing():
    few, many = share(0, LEAST - 1), share(900, 1000)
    assert few.too_few and not many.too_few
    assert not few.differs_from(many)
    assert many.differs_from(share(100, 1000)) and not many.differs_from(share(890, 1000))
