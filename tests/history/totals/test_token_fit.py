"""A provider's count from ours, worked out from pairs of both: a line, then prices of classes of text."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.history.totals import token_fit
from gateway.history.totals.token_fit import CountedRequest, Learnt, learnt_from

ROOT = Path(__file__).parents[3]


def mixed(count, factor=1.2, letters=2.0, cjk=1.5, overhead=0, seed=3):
    """Pairs of a model that charges just so, of texts of one to three classes."""
    chance = random.Random(seed)
    pairs = []
    for _ in range(count):
        rest, other, signs = (chance.choice((0, 1)) * chance.randint(30, 900) for _ in range(3))
        rest += 20
        real = factor * (rest + letters * other + cjk * signs) + overhead
        pairs.append(CountedRequest(rest + other + signs, round(real), other, signs))
    return pairs


def worst(learnt, pairs):
    return max(map(learnt.error, pairs))


def test_a_factor_is_the_median_and_odd_answers_do_not_move_it():
    usual = [CountedRequest(100, 120)] * 5
    assert learnt_from(usual) == Learnt(1.2)
    assert learnt_from([*usual, CountedRequest(100, 9000), CountedRequest(100, 1)]) == Learnt(1.2)


def test_a_factor_stays_within_bounds():
    assert learnt_from([CountedRequest(100, 100_000)]).factor == token_fit.MOST
    assert learnt_from([CountedRequest(100, 50)]).factor == token_fit.LEAST


def test_the_words_of_a_chat_template_are_an_overhead_and_no_part_of_the_factor():
    pairs = [CountedRequest(ours, round(1.2 * ours) + 30) for ours in range(50, 1050, 50)]
    odd = [CountedRequest(100, 5000), CountedRequest(800, 10)]
    assert learnt_from([*pairs, *odd]) == Learnt(pytest.approx(1.2, abs=0.001), 30)


def test_an_overhead_is_never_negative_and_never_larger_than_a_template():
    assert learnt_from([CountedRequest(ours, ours - 40) for ours in range(100, 1100, 50)]).overhead == 0
    steep = [CountedRequest(ours, ours + 5000) for ours in range(100, 1100, 50)]
    assert learnt_from(steep).overhead == token_fit.LARGEST_OVERHEAD


@pytest.mark.parametrize("overhead", [0, 40])
def test_a_model_that_charges_more_for_other_letters_teaches_what_they_cost(overhead):
    seen, others = mixed(50, overhead=overhead), mixed(200, overhead=overhead, seed=9)
    learnt = learnt_from(seen)
    assert learnt.factor == pytest.approx(1.2, rel=0.03)
    assert learnt.letters == pytest.approx(2.0, rel=0.05)
    assert learnt.cjk == pytest.approx(1.5, rel=0.05)
    assert worst(learnt, others) < 0.05


def test_wrong_numbers_of_a_provider_do_not_carry_the_prices_away():
    seen = mixed(50)
    for place in range(0, 50, 7):
        seen[place] = seen[place]._replace(real=(1, 10_000_000)[place % 2])
    assert worst(learnt_from(seen), mixed(200, seed=9)) < 0.15


def test_english_alone_teaches_one_factor_as_ever():
    pairs = [CountedRequest(ours, round(1.2 * ours) + 30) for ours in range(50, 1050, 50)]
    assert learnt_from(pairs)[2:] == (1.0, 1.0)


def test_a_class_that_was_hardly_seen_costs_what_the_one_factor_says():
    pairs = [CountedRequest(ours, round(1.2 * ours), letters=3) for ours in range(500, 2500, 50)]
    learnt = learnt_from(pairs)
    assert learnt.factor * learnt.letters == pytest.approx(1.2, rel=0.03)
    assert learnt.factor * learnt.cjk == pytest.approx(1.2, rel=0.03)


def test_classes_that_always_come_together_share_what_they_cost():
    pairs = [CountedRequest(5 * size, 8 * size, letters=2 * size, cjk=size) for size in range(20, 70)]
    learnt = learnt_from(pairs)
    assert worst(learnt, pairs) < 0.05
    assert 0.5 < learnt.letters < 2
    assert 0.5 < learnt.cjk < 2


small, large = st.integers(0, 50), st.integers(0, 2_000_000)
sizes = st.one_of(small, large)


@st.composite
def counted(draw):
    rest, letters, cjk = draw(sizes), draw(sizes), draw(sizes)
    return CountedRequest(max(1, rest + letters + cjk), draw(st.integers(1, 10_000_000)), letters, cjk)


@given(st.lists(counted(), min_size=1, max_size=60))
def test_whatever_a_provider_says_what_is_learnt_is_finite_and_within_bounds(pairs):
    learnt = learnt_from(pairs)
    assert token_fit.LEAST <= learnt.factor <= token_fit.MOST
    assert 0 <= learnt.overhead <= token_fit.LARGEST_OVERHEAD
    for price in (learnt.letters, learnt.cjk):
        assert 0.99 * token_fit.LEAST_OF_CLASS <= learnt.factor * price <= 1.01 * token_fit.MOST_OF_CLASS


@given(st.lists(counted(), min_size=1, max_size=60))
def test_prices_of_classes_are_never_further_off_than_the_one_factor(pairs):
    if not token_fit._believable(pairs):
        assert learnt_from(pairs) == Learnt(1.0)
        return
    learnt, line = learnt_from(pairs), token_fit._line(pairs)
    assert token_fit._usual_error(learnt, pairs) <= token_fit._usual_error(line, pairs)


def test_two_processes_learn_the_same():
    work = (
        "from tests.history.totals.test_token_fit import mixed;"
        "from gateway.history.totals.token_fit import learnt_from;"
        "print(repr(learnt_from(mixed(50))))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", work],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told == [f"{learnt_from(mixed(50))!r}\n"] * 2


lengths = st.lists(st.integers(20, 5000), min_size=5, max_size=50)


@given(lengths, st.integers(1, 2000))
def test_one_number_for_every_prompt_never_halves_the_estimate(ours, constant):
    pairs = [CountedRequest(one, constant) for one in ours]
    learnt = learnt_from(pairs)
    if max(ours) >= 2 * min(ours) and len(set(ours)) == len(ours):
        assert learnt == Learnt(1.0)
    assert learnt.factor >= token_fit.LEAST


@given(lengths, st.floats(0.001, 0.2))
def test_a_count_far_below_ours_is_not_believed(ours, share):
    assert learnt_from([CountedRequest(one, max(1, int(share * one))) for one in ours]) == Learnt(1.0)


@given(lengths, st.floats(0.6, 3.5))
def test_a_count_that_follows_the_text_is_believed(ours, factor):
    learnt = learnt_from([CountedRequest(one, round(factor * one)) for one in ours])
    assert learnt.factor == pytest.approx(factor, rel=0.1)
