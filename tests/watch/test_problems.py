"""Failures become problems: each counted once, with whom it hit, and back after it was resolved."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.history.record.rows import write
from gateway.models import Problem, ProblemHour, RequestLog
from gateway.watch import problems
from gateway.watch.problems import count_new, decide
from tests.history.record.test_recorder import outcome

pytestmark = pytest.mark.django_db


def failed(number, message="connection refused", **fields):
    facts = {
        "state": "error", "provider": "acme", "upstream_model": "m", "error_type": "api_error", "status": 502,
        "started_at": timezone.now(),
    }  # fmt: skip
    return outcome(number, **{**facts, "error_message": message, **fields})


def test_failures_of_one_kind_are_one_problem_with_whom_they_hit():
    write(
        [
            failed(number, f"limit of {number} reached", client_key_id=number % 2, owner_id=7)
            for number in range(4)
        ]
    )
    assert count_new() == 4
    problem = Problem.objects.get()
    assert (problem.provider, problem.model, problem.error_type, problem.times) == (
        "acme",
        "m",
        "api_error",
        4,
    )
    assert problem.message == "limit of … reached"
    assert set(RequestLog.objects.values_list("problem_id", flat=True)) == {problem.pk}
    assert sum(hour.times for hour in ProblemHour.objects.all()) == 4


def test_a_failure_is_counted_once_however_often_somebody_looks():
    write([failed(1)])
    assert [count_new(), count_new()] == [1, 0]
    # and when its row is written again
    write([failed(1)])
    assert count_new() == 0
    assert Problem.objects.get().times == 1


def test_a_failure_that_ends_otherwise_after_all_is_counted_off():
    write([failed(1, state="interrupted", owner_id=7), failed(2, state="interrupted", owner_id=7)])
    assert count_new() == 2
    write([failed(1, state="ok", owner_id=7)])
    assert RequestLog.objects.get(request_id="req_1").problem_id is None
    assert Problem.objects.get().times == ProblemHour.objects.get().times == 1
    write([failed(2, message="something else", owner_id=7)])
    assert count_new() == 1
    assert sorted(Problem.objects.values_list("times", flat=True)) == [0, 1]


def test_an_older_failure_that_is_counted_late_is_not_the_newest_sample():
    now = timezone.now()
    write([failed(1, "limit of 1 reached", started_at=now)])
    count_new()
    write([failed(2, "limit of 2 reached", started_at=now - timedelta(hours=3))])
    count_new()
    assert Problem.objects.get().sample == "limit of 1 reached"


def test_what_went_well_or_was_cancelled_is_no_problem():
    write([outcome(1, started_at=timezone.now()), outcome(2, started_at=timezone.now(), state="cancelled")])
    assert count_new() == 0


def test_other_providers_and_messages_are_other_problems():
    write([failed(1), failed(2, provider="other"), failed(3, "reset"), failed(4, state="broken")])
    count_new()
    assert Problem.objects.count() == 3


def test_a_resolved_problem_that_fails_again_is_back():
    write([failed(1)])
    count_new()
    decide(Problem.objects.get(), "resolved")
    assert count_new() == 0 and Problem.objects.get().state == "resolved"
    write([failed(2, started_at=timezone.now() + timedelta(seconds=1))])
    count_new()
    problem = Problem.objects.get()
    assert (problem.state, problem.is_back) == ("open", True)


def test_an_ignored_problem_stays_quiet_until_its_time_is_over():
    write([failed(1)])
    count_new()
    now = timezone.now()
    decide(Problem.objects.get(), "ignored", until=now + timedelta(hours=1))
    write([failed(2)])
    count_new(now)
    assert Problem.objects.get().state == "ignored"
    write([failed(3)])
    count_new(now + timedelta(hours=2))
    assert Problem.objects.get().state == "open"


def test_kinds_that_clients_make_up_are_counted_together_once_there_are_many(monkeypatch):
    monkeypatch.setattr(problems, "MOST_PROBLEMS", 3)
    words = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
    write([failed(number, word) for number, word in enumerate(words)])
    count_new()
    assert Problem.objects.count() == 4
    assert Problem.objects.get(message="…").times == 3


def test_looking_for_new_failures_takes_their_index():
    write([failed(1)])
    count_new()
    with CaptureQueriesContext(connection) as captured:
        count_new()
    [query] = captured.captured_queries
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            assert "log_uncounted" in str(cursor.fetchall())


def test_a_request_that_began_before_the_decision_and_failed_after_it_brings_the_problem_back():
    write([failed(1)])
    count_new()
    decide(Problem.objects.get(), "resolved")
    before = timezone.now() - timedelta(minutes=5)
    write([failed(2, started_at=before, duration_ms=600_000), failed(3, "reset", started_at=before)])
    count_new()
    problem = Problem.objects.get(message="connection refused")
    assert (problem.state, problem.is_back) == ("open", True)
