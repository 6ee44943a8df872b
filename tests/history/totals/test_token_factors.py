"""Factors learnt from what providers counted."""

from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.config.snapshot.loader import load
from gateway.history.outcome import ExchangeOutcome
from gateway.history.record.rows import write
from gateway.history.totals import token_factors
from gateway.history.totals.token_factors import FactorLearner, learn
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


def test_a_few_answers_are_not_enough():
    answers(4, 1200)
    assert learn("main", "m") is None
    assert not TokenFactor.objects.exists()


def test_what_was_learnt_is_a_layer_of_the_profile_in_the_next_snapshot():
    answers(5, 1200)
    assert learn("main", "m").factor == 1.2
    learnt = {"token_factor": 1.2, "token_letters": 1.0, "token_cjk": 1.0, "token_overhead": 0}
    assert load().learnt["main", "m"] == learnt


def test_what_other_letters_and_ideographs_cost_is_learnt_beside_it():
    for turn in range(8):
        answers(1, 1000, first=3 * turn)
        answers(1, 2000, first=3 * turn + 1, letter_tokens=1000)
        answers(1, 1500, first=3 * turn + 2, cjk_tokens=1000, letter_tokens=0)
    learn("main", "m")
    options = load().learnt["main", "m"]
    assert options["token_factor"] == pytest.approx(1.0, abs=0.05)
    assert options["token_letters"] == pytest.approx(2.0, abs=0.1)
    assert options["token_cjk"] == pytest.approx(1.5, abs=0.1)
    assert TokenFactor.objects.get().error < 0.05


def test_a_class_whose_price_changes_is_noticed():
    for turn in range(10):
        answers(1, 1000, first=2 * turn)
        answers(1, 2000, first=2 * turn + 1, letter_tokens=1000)
    learn("main", "m")
    stamp = ConfigStamp.current()
    for turn in range(10, 40):
        answers(1, 1000, first=2 * turn)
        answers(1, 1800, first=2 * turn + 1, letter_tokens=1000)
    learn("main", "m")
    assert ConfigStamp.current() == stamp + 1
    assert TokenFactor.objects.get().letters == pytest.approx(1.8, abs=0.05)


def test_a_record_of_before_classes_prices_them_all_alike():
    TokenFactor.objects.create(provider="main", upstream_model="m", factor=1.3, requests=50, error=0.1)
    learnt = {"token_factor": 1.3, "token_letters": 1.0, "token_cjk": 1.0, "token_overhead": 0}
    assert load().learnt["main", "m"] == learnt


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


def test_the_learner_looks_after_the_first_answers_and_then_by_number_and_clock(monkeypatch):
    looks = []
    now = 0.0
    learner = FactorLearner(clock=lambda: now)
    monkeypatch.setattr(token_factors, "learn", lambda *_model: looks.append((now, heard)))
    made = answers(200, 1200)
    heard = 0
    for outcome in made[:100]:
        heard += 1
        now = heard / 10
        learner.note([outcome])
    assert looks == [(0.5, 5), (1.0, 10), (2.0, 20)]
    now = 32.0
    for outcome in made[100:]:
        heard += 1
        learner.note([outcome])
    assert looks[3:] == [(32.0, 101)]
    now = 90.0
    learner.note(made[:1])
    assert len(looks) == 5


def test_a_learner_remembers_the_models_it_heard_of_last(monkeypatch):
    looks = []
    monkeypatch.setattr(token_factors, "learn", lambda *model: looks.append(model))
    monkeypatch.setattr(token_factors, "MOST_MODELS", 2)
    learner = FactorLearner()
    for name in ("a", "a", "a", "a", "b", "c", "c", "c", "c", "b", "b", "b", "b", "a"):
        learner.note(answers(1, 1200, upstream_model=name))
    assert looks == [("main", "b")]
    assert len(learner._seen) == 2


def test_a_learner_that_cannot_learn_holds_up_nothing(monkeypatch, caplog):
    monkeypatch.setattr(token_factors, "learn", lambda *_model: 1 / 0)
    FactorLearner().note(answers(5, 1200))
    assert "no token factor learnt" in caplog.text
