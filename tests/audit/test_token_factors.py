"""Factors learnt from what providers counted."""

from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.audit import token_factors
from gateway.audit.outcome import ExchangeOutcome
from gateway.audit.rows import write
from gateway.audit.token_factors import Counted, FactorLearner, Learnt, learn, learnt_from
from gateway.config.loader import load
from gateway.models import ConfigStamp, TokenFactor

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


def answers(count, real, *, first=0, **fields):
    """Outcomes whose provider counted `real` tokens for a thousand of ours, written."""
    made = [
        ExchangeOutcome(
            **{
                "request_id": f"req_{first + number}", "started_at": NOW + timedelta(seconds=first + number),
                "endpoint": "messages", "state": "ok", "provider": "main", "upstream_model": "m",
                "attempts": 1, "input_tokens": real, "output_tokens": 1, "vocabulary_tokens": 1000,
                **fields,
            }
        )
        for number in range(count)
    ]  # fmt: skip
    write(made)
    return made


def test_a_factor_is_the_median_and_odd_answers_do_not_move_it():
    usual = [Counted(100, 120)] * 5
    assert learnt_from(usual) == Learnt(1.2)
    assert learnt_from([*usual, Counted(100, 9000), Counted(100, 1)]) == Learnt(1.2)


def test_a_factor_stays_within_bounds():
    assert learnt_from([Counted(100, 100_000)]).factor == token_factors.MOST
    assert learnt_from([Counted(100, 1)]).factor == token_factors.LEAST


def test_the_words_of_a_chat_template_are_an_overhead_and_no_part_of_the_factor():
    pairs = [Counted(ours, round(1.2 * ours) + 30) for ours in range(50, 1050, 50)]
    odd = [Counted(100, 5000), Counted(800, 10)]
    assert learnt_from([*pairs, *odd]) == Learnt(pytest.approx(1.2, abs=0.001), 30)


def test_an_overhead_is_never_negative_and_never_larger_than_a_template():
    assert learnt_from([Counted(ours, ours - 40) for ours in range(100, 1100, 50)]).overhead == 0
    steep = [Counted(ours, ours + 5000) for ours in range(100, 1100, 50)]
    assert learnt_from(steep).overhead == token_factors.LARGEST_OVERHEAD


def test_a_few_answers_are_not_enough():
    answers(4, 1200)
    assert learn("main", "m") is None
    assert not TokenFactor.objects.exists()


def test_what_was_learnt_is_a_layer_of_the_profile_in_the_next_snapshot():
    answers(5, 1200)
    assert learn("main", "m").factor == 1.2
    assert load().learnt["main", "m"] == {"token_factor": 1.2, "token_overhead": 0}


def test_cached_tokens_are_a_part_of_what_the_provider_counted():
    answers(5, 200, cache_read_tokens=900, cache_write_tokens=100)
    assert learn("main", "m").factor == 1.2


def test_the_last_answers_count():
    answers(50, 2000)
    answers(50, 1200, first=50)
    assert learn("main", "m").factor == 1.2


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "error"}, {"usage_estimated": True}, {"endpoint": "count_tokens"},
        {"vocabulary_tokens": None}, {"input_tokens": None}, {"input_tokens": 0},
    ],
)  # fmt: skip
def test_answers_without_both_counts_teach_nothing(fields):
    answers(10, 1200, **fields)
    assert learn("main", "m") is None


def test_a_change_too_small_to_notice_moves_no_stamp():
    answers(20, 1200)
    learn("main", "m")
    stamp = ConfigStamp.current()
    answers(50, 1205, first=20)
    learn("main", "m")
    assert ConfigStamp.current() == stamp
    assert TokenFactor.objects.get().requests == 50
    answers(50, 1300, first=70)
    learn("main", "m")
    assert ConfigStamp.current() == stamp + 1


def test_the_learner_looks_after_the_first_answers_and_then_rarely(monkeypatch):
    looks = []
    monkeypatch.setattr(token_factors, "learn", lambda *model: looks.append(model))
    learner = FactorLearner()
    for outcome in answers(60, 1200):
        learner.note([outcome])
    assert looks == [("main", "m")] * 5


def test_a_learner_that_cannot_learn_holds_up_nothing(monkeypatch, caplog):
    monkeypatch.setattr(token_factors, "learn", lambda *_model: 1 / 0)
    FactorLearner().note(answers(5, 1200))
    assert "no token factor learnt" in caplog.text
