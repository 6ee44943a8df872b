"""A run: every step asked once, in order, within the cap, whatever ends it in between."""

import threading
from collections import Counter
from concurrent.futures import wait
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.utils import timezone

from gateway.conversion.profile import Profile
from gateway.conversion.requests.plan import profile_cap
from gateway.evaluation.asked_step import AskedStep
from gateway.evaluation.recorded_steps import MOST_TOKENS, _max_tokens
from gateway.evaluation.run import LEASE, TASK, EvaluationRun
from gateway.evaluation.spending import largest_cost, spent_on
from gateway.evaluation.starting import cancel, go_on, pause
from gateway.evaluation.worker import run_waiting
from gateway.history.retention import purge
from gateway.models import ContentRead, Evaluation, EvaluationStep, Lease, RequestBody, RequestLog, Retention
from gateway.models.operation.evaluation import EvaluationState
from gateway.pricing.book import PriceBook
from gateway.pricing.price import Price, Rates
from tests.evaluation import scenario
from tests.evaluation.scenario import CANDIDATE, JUDGE

pytestmark = pytest.mark.django_db


def run(stage, evaluation, **more):
    assert Lease.take(TASK, "a", timezone.now(), LEASE)
    state = EvaluationRun(evaluation, stage.asker, "a", more.pop("stopping", threading.Event()), **more).run()
    evaluation.refresh_from_db()
    return state


def verdicts(evaluation):
    """{(session number, agent, step): verdict} of what was compared."""
    found, counts = {}, Counter()
    for step in evaluation.steps.order_by("recorded__position").select_related("recorded"):
        number = int(step.recorded.session.split()[0].removeprefix("session-"))
        agent = "helper" if step.recorded.agent_id else ""
        found[number, agent, counts[number, agent]] = step.verdict or step.state
        counts[number, agent] += 1
    return found


def truth(sessions):
    return {
        (number, agent, step): scenario.proposed(number, agent, step)[1]
        for number in range(sessions)
        for agent, step in scenario.steps_of(number)
    }


def test_every_step_is_asked_once_and_compared_with_what_was_done(stage, evaluated):
    evaluation = evaluated(10)
    assert run(stage, evaluation) == "done"
    assert verdicts(evaluation) == truth(10)
    asked = stage.provider.asked(CANDIDATE)
    assert Counter(asked) == Counter(list(truth(10)))
    step = evaluation.steps.select_related("recorded").first()
    assert step.cost == scenario.COST[CANDIDATE]
    assert step.recorded.cost == scenario.COST[scenario.RECORDED]
    assert step.first_byte_ms is not None
    assert (evaluation.ended_at, evaluation.problem) != (None, "x")


def test_the_candidate_gets_the_recorded_turns_and_tool_results(stage, evaluated):
    run(stage, evaluated(1))
    [last] = [one for one in stage.provider.requests if one.body["model"] == CANDIDATE][-1:]
    [recorded] = [one for one in stage.provider.requests if one.body["model"] != CANDIDATE][-1:]
    assert {**last.body, "model": ""} == {**recorded.body, "model": ""}


def test_the_steps_of_a_session_are_asked_in_order_on_one_credential(stage, evaluated):
    two = tuple(
        stage.bench.base.credentials[0].__class__(pk, f"c{pk}", f"sk-credential-{pk}") for pk in (1, 2)
    )
    evaluation = evaluated(8, concurrency=4)
    stage.bench.base = scenario.dataclasses.replace(stage.bench.base, credentials=two)
    stage.configure()
    run(stage, evaluation)
    order, used = {}, {}
    for request in stage.provider.requests:
        if request.body["model"] == CANDIDATE:
            number, agent, step = scenario.place(request.body)
            order.setdefault((number, agent), []).append(step)
            used.setdefault(number, set()).add(request.headers["authorization"])
    assert all(steps == sorted(steps) for steps in order.values())
    assert all(len(credentials) == 1 for credentials in used.values())
    assert len(set().union(*used.values())) == 2


def test_replays_belong_to_no_session_and_the_reads_are_noted(stage, evaluated, admin_user):
    evaluation = evaluated(2)
    run(stage, evaluation)
    replays = RequestLog.objects.exclude(replay_of="")
    assert replays.count() == evaluation.steps.count()
    assert set(replays.values_list("session_id", "endpoint", "client_key_id")) == {("", "replay", None)}
    reads = ContentRead.objects.filter(part="evaluation", user=admin_user)
    assert reads.count() == evaluation.steps.count()


def test_a_killed_run_asks_nothing_twice_that_it_had_stored(stage, evaluated):
    evaluation = evaluated(6)

    class Killed(BaseException):
        pass

    seen = []

    def dies(step):
        seen.append(step.pk)
        if len(seen) == 11:
            raise Killed

    with pytest.raises(Killed):
        run(stage, evaluation, tell=dies)
    stage.flush()
    stored = set(evaluation.steps.filter(state="done").values_list("answer_id", flat=True))
    assert len(stored) == 11
    assert Evaluation.objects.get().state == "running"
    before = Counter(stage.provider.asked(CANDIDATE))
    # the task of a process that died is taken over when its lease ends
    later = timezone.now() + LEASE + timedelta(seconds=1)
    assert Lease.take(TASK, "b", later, LEASE)
    assert EvaluationRun(evaluation, stage.asker, "b", threading.Event(), now=lambda: later).run() == "done"
    assert stored <= set(evaluation.steps.values_list("answer_id", flat=True))
    assert verdicts(evaluation) == truth(6)
    again = Counter(stage.provider.asked(CANDIDATE))
    # at most what was under way is asked once more
    assert sum(again.values()) - len(truth(6)) <= evaluation.concurrency
    assert sum(before.values()) >= 11


def test_an_answer_that_came_before_the_kill_is_taken_from_the_history(stage, evaluated):
    evaluation = evaluated(1)
    run(stage, evaluation)
    asked = len(stage.provider.requests)
    # as if the process had died between the answer and its comparison
    step = evaluation.steps.first()
    evaluation.steps.filter(pk=step.pk).update(state="asking", verdict="", cost=None)
    Evaluation.objects.update(state="running")
    assert run(stage, evaluation) == "done"
    assert len(stage.provider.requests) == asked
    again = evaluation.steps.get(pk=step.pk)
    assert (again.verdict, again.cost, again.state) == (step.verdict, step.cost, "done")


def test_a_divergence_that_is_taken_from_the_history_is_judged_once(stage, evaluated):
    evaluation = evaluated(1, judge_provider="fake", judge_model=JUDGE)
    run(stage, evaluation)
    assert evaluation.steps.filter(verdict="effect").count() == 1
    step = evaluation.steps.get(verdict="effect")
    evaluation.steps.filter(pk=step.pk).update(state="asking", verdict="", judgement="", judge_id="")
    stage.provider.verdicts.clear()
    Evaluation.objects.update(state="running")
    assert run(stage, evaluation) == "done"
    assert len(stage.provider.verdicts) == 1


def test_a_process_that_stops_calls_no_step_failed_and_the_next_goes_on(stage, evaluated):
    evaluation, stopping = evaluated(3), threading.Event()

    class Stopping:
        """The process begins to drain while the first requests are on their way."""

        def __getattr__(self, name):
            return getattr(stage.asker, name)

        def ask(self, request):
            stage.bench.gateway.live.draining = True
            stopping.set()
            future = stage.asker.ask(request)
            wait([future], 60)
            return future

    assert Lease.take(TASK, "a", timezone.now(), LEASE)
    assert EvaluationRun(evaluation, Stopping(), "a", stopping).run() == "running"
    stage.flush()
    evaluation.refresh_from_db()
    assert evaluation.problem == ""
    assert not evaluation.steps.filter(state="failed").exists()
    stage.bench.gateway.live.draining = False
    assert run(stage, evaluation) == "done"
    assert verdicts(evaluation) == truth(3)


def test_an_interrupted_request_is_asked_again(stage, evaluated):
    evaluation = evaluated(1)
    run(stage, evaluation)
    step = evaluation.steps.first()
    evaluation.steps.filter(pk=step.pk).update(state="asking", verdict="")
    RequestLog.objects.filter(request_id=step.answer_id).update(state="interrupted")
    Evaluation.objects.update(state="running")
    assert run(stage, evaluation) == "done"
    again = evaluation.steps.get(pk=step.pk)
    assert (again.state, again.verdict) == ("done", step.verdict)
    assert again.answer_id != step.answer_id


def test_what_was_under_way_without_an_answer_counts_into_the_cap(stage, evaluated):
    evaluation = evaluated(1, spend_cap="1.00")
    step = evaluation.steps.first()
    evaluation.steps.filter(pk=step.pk).update(state="asking", answer_id="req_lost", reserved=Decimal("0.5"))
    assert run(stage, evaluation) == "done"
    assert evaluation.lost_cost == Decimal("0.5")
    assert spent_on(evaluation) == Decimal("0.5") + scenario.COST[CANDIDATE] * evaluation.steps.count()


def test_the_cap_is_never_exceeded_and_raising_it_goes_on(stage, evaluated):
    evaluation = evaluated(6, spend_cap="0.02", concurrency=3)
    assert run(stage, evaluation) == "capped"
    # what a request may cost at most no longer fits
    most = Decimal(1) * (1500 + 1000) / 1_000_000
    spent = spent_on(evaluation)
    assert Decimal("0.02") - most < spent <= Decimal("0.02")
    assert evaluation.steps.filter(state="asking").count() == 0
    Evaluation.objects.update(spend_cap="5.00")
    assert go_on(evaluation)
    evaluation.refresh_from_db()
    assert run(stage, evaluation) == "done"
    assert Counter(stage.provider.asked(CANDIDATE)) == Counter(list(truth(6)))


def test_a_cap_that_is_lowered_meanwhile_holds(stage, evaluated):
    evaluation = evaluated(4, concurrency=1)

    def tell(_step):
        Evaluation.objects.update(spend_cap="0.01")

    assert run(stage, evaluation, tell=tell) == "capped"
    assert spent_on(evaluation) <= Decimal("0.01")


def test_without_a_price_a_cap_cannot_hold_and_nothing_is_asked(stage, evaluated):
    evaluation = evaluated(1, spend_cap="5.00", upstream_model="unpriced")
    assert run(stage, evaluation) == "paused"
    assert "Nobody knows what unpriced costs" in evaluation.problem
    assert stage.provider.asked("unpriced") == []


def test_an_unknown_provider_is_said(stage, evaluated):
    evaluation = evaluated(1, provider="gone")
    assert run(stage, evaluation) == "paused"
    assert "gone takes no requests" in evaluation.problem


def test_failures_are_counted_and_do_not_count_as_disagreement(stage, evaluated):
    stage.provider.broken = {2}
    evaluation = evaluated(4)
    assert run(stage, evaluation) == "done"
    failed = evaluation.steps.filter(state="failed")
    assert failed.count() == len(scenario.steps_of(2))
    assert failed.first().error.startswith("invalid_request_error: ")
    assert failed.first().verdict == ""


def test_a_candidate_that_only_fails_is_not_asked_on_and_failures_can_be_asked_again(stage, evaluated):
    stage.provider.broken = set(range(9))
    evaluation = evaluated(9)
    assert run(stage, evaluation) == "paused"
    assert "failed 20 times in a row" in evaluation.problem
    assert evaluation.steps.filter(state="failed").count() < 25
    stage.provider.broken = set()
    evaluation.steps.filter(state="failed").update(cost="0.001")
    paid = spent_on(evaluation)
    assert paid > 0
    assert go_on(evaluation)
    evaluation.refresh_from_db()
    assert spent_on(evaluation) == paid
    evaluation.refresh_from_db()
    assert run(stage, evaluation) == "done"
    assert verdicts(evaluation) == truth(9)


def test_one_that_is_done_goes_on_only_for_what_failed(stage, evaluated):
    evaluation = evaluated(3)
    assert run(stage, evaluation) == "done"
    assert not go_on(evaluation)
    step = evaluation.steps.filter(state="done").first()
    evaluation.steps.filter(pk=step.pk).update(state="failed", error="e")
    assert go_on(evaluation)
    evaluation.refresh_from_db()
    assert run(stage, evaluation) == "done"
    assert not evaluation.steps.filter(state="failed").exists()


def test_a_pause_lets_what_is_under_way_end(stage, evaluated):
    evaluation = evaluated(4)

    def tell(_step):
        pause(evaluation)

    assert run(stage, evaluation, tell=tell) == "paused"
    assert evaluation.steps.filter(state="asking").count() == 0
    assert 0 < evaluation.steps.filter(state="done").count() <= evaluation.concurrency + 1
    assert go_on(evaluation)
    evaluation.refresh_from_db()
    assert run(stage, evaluation) == "done"
    assert Counter(stage.provider.asked(CANDIDATE)) == Counter(list(truth(4)))


def test_a_cancelled_evaluation_ends_its_requests_and_cannot_go_on(stage, evaluated):
    evaluation = evaluated(4, spend_cap="1.00")
    stage.provider.held = {0: scenario.asyncio.Event()}

    def tell(_step):
        cancel(evaluation, timezone.now())

    assert run(stage, evaluation, tell=tell) == "cancelled"
    assert evaluation.steps.filter(state="asking").count() == 0
    assert evaluation.lost_cost > 0
    assert not go_on(evaluation)
    stage.loop.call_soon_threadsafe(stage.provider.held[0].set)


def test_one_process_runs_evaluations_at_a_time_and_gives_the_task_back(stage, evaluated):
    evaluated(1)
    assert Lease.take(TASK, "other", timezone.now(), LEASE)
    assert run_waiting(stage.asker, "me", threading.Event()) == 0
    Lease.objects.update(until=None)
    assert run_waiting(stage.asker, "me", threading.Event()) == 1
    assert Lease.take(TASK, "other", timezone.now(), LEASE)


def test_a_run_that_lost_its_lease_writes_no_end(stage, evaluated):
    evaluation = evaluated(2)

    def tell(_step):
        Lease.objects.update(holder="b")

    assert run(stage, evaluation, tell=tell) == "running"


def test_a_run_that_stalled_past_its_lease_fails_no_step_that_another_asks(stage, evaluated):
    evaluation = evaluated(1)
    stalled = EvaluationRun(evaluation, stage.asker, "a", threading.Event())
    done, asked_again = evaluation.steps.order_by("pk")[:2]
    steps = evaluation.steps
    steps.filter(pk=done.pk).update(state="done", answer_id="req_old", verdict="same", reserved=0)
    steps.filter(pk=asked_again.pk).update(state="asking", answer_id="req_new")
    before = list(steps.order_by("pk").values())
    for step in (done, asked_again):
        asked = AskedStep(step, "req_old", Decimal(1), None)
        stalled._failed(asked, "no outcome")
        stalled._give_back(asked)
    assert list(steps.order_by("pk").values()) == before
    evaluation.refresh_from_db()
    assert evaluation.lost_cost == 0


def test_only_texts_that_whoever_started_it_may_read_are_asked(stage, evaluated, django_user_model):
    evaluation = evaluated(2)
    clerk = django_user_model.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(permissions("add_evaluation"))
    RequestLog.objects.filter(session_id="session-1").update(owner_id=clerk.pk)
    Evaluation.objects.update(started_by=clerk)
    evaluation.refresh_from_db()
    assert run(stage, evaluation) == "done"
    states = Counter((step.recorded.session.split()[0], step.state) for step in evaluation.steps.all())
    assert states == {("session-0", "forbidden"): 7, ("session-1", "done"): 5}


def permissions(*codenames):
    return Permission.objects.filter(codename__in=codenames)


def test_somebody_who_left_has_nothing_asked_any_more(stage, evaluated, admin_user):
    evaluation = evaluated(1)
    admin_user.is_active = False
    admin_user.save()
    assert run(stage, evaluation) == "paused"
    assert stage.provider.asked(CANDIDATE) == []


def test_texts_that_are_gone_or_past_their_retention_are_not_asked(stage, evaluated):
    evaluation = evaluated(2)
    RequestBody.objects.filter(log__session_id="session-0").delete()
    Retention.objects.create(pk=Retention.ROW, body_days=30)
    # what a legal hold alone keeps
    old = timezone.now() - timedelta(days=31)
    RequestLog.objects.filter(session_id="session-1", agent_id="").update(started_at=old)
    assert run(stage, evaluation) == "done"
    assert set(evaluation.steps.values_list("state", flat=True)) == {"gone"}
    assert stage.provider.asked(CANDIDATE) == []


def test_the_contents_of_replays_go_with_those_of_the_recorded_requests(stage, evaluated):
    evaluation = evaluated(2, judge_provider="fake", judge_model=JUDGE)
    assert run(stage, evaluation) == "done"
    Retention.objects.create(pk=Retention.ROW, body_days=30)
    RequestLog.objects.filter(replay_of="").update(started_at=timezone.now() - timedelta(days=31))
    assert RequestBody.objects.count() > 2 * evaluation.steps.count()
    purge(timezone.now(), breath=0)
    assert RequestBody.objects.count() == 0
    assert RequestLog.objects.exclude(replay_of="").exists()


def test_a_judge_rates_divergences_without_knowing_which_was_taken(stage, evaluated):
    evaluation = evaluated(12, judge_provider="fake", judge_model=JUDGE, spend_cap="5.00")
    assert run(stage, evaluation) == "done"
    diverging = {at for at, verdict in truth(12).items() if verdict not in ("same", "target", "text")}
    rated = EvaluationStep.objects.exclude(judgement="").select_related("recorded")
    assert rated.count() == len(diverging) == len(stage.provider.verdicts)
    # the scenario's judge prefers the step that sets the limit to 0, wherever it stands
    assert {(step.verdict, step.judgement) for step in rated} == {
        ("effect", "worse"), ("tool", "equal"), ("stopped", "equal"), ("other", "equal"),
        ("went_on", "equal"),
    }  # fmt: skip
    edits = [question for question in stage.provider.verdicts if "limit = 1" in question]
    firsts = {"limit = 0" in question.split("<FIRST>")[1].split("</FIRST>")[0] for question in edits}
    assert firsts == {True, False}
    judged = sum(step.judge_cost for step in rated)
    asked = scenario.COST[CANDIDATE] * evaluation.steps.count()
    assert spent_on(evaluation) == judged + asked
    assert judged > 0


def test_an_evaluation_that_cannot_be_run_does_not_hold_up_the_others(stage, evaluated, monkeypatch):
    broken = evaluated(1, name="broken")
    fine = evaluated(1, name="fine", dataset=broken.dataset)
    real = EvaluationRun.run

    def run_one(self):
        if self._evaluation.pk == broken.pk:
            raise OverflowError("too large")
        return real(self)

    monkeypatch.setattr(EvaluationRun, "run", run_one)
    assert run_waiting(stage.asker, "me", threading.Event()) == 2
    broken.refresh_from_db()
    fine.refresh_from_db()
    assert (broken.state, fine.state) == (EvaluationState.PAUSED, EvaluationState.DONE)
    assert "OverflowError: too large" in broken.problem


def test_the_database_out_of_reach_pauses_nothing(stage, evaluated, monkeypatch):
    waiting = evaluated(1)

    def run_one(_self):
        raise OperationalError("the server is gone")

    monkeypatch.setattr(EvaluationRun, "run", run_one)
    monkeypatch.setattr("gateway.evaluation.worker.concerns_server", lambda _problem: True)
    with pytest.raises(OperationalError):
        run_waiting(stage.asker, "me", threading.Event())
    waiting.refresh_from_db()
    assert waiting.state == EvaluationState.WAITING


@pytest.mark.parametrize("told", [True, False])
def test_a_process_that_ends_in_the_middle_pauses_nothing(stage, evaluated, monkeypatch, told):
    evaluation, stopping = evaluated(1), threading.Event()

    def ends(_self, _request):
        if told:
            stopping.set()
        else:
            monkeypatch.setattr(type(stage.asker), "closed", True)
        raise RuntimeError("Event loop is closed")

    with monkeypatch.context() as patched:
        patched.setattr(type(stage.asker), "ask", ends)
        with pytest.raises(RuntimeError):
            run_waiting(stage.asker, "me", stopping)
    monkeypatch.undo()
    evaluation.refresh_from_db()
    assert (evaluation.state, evaluation.problem) == (EvaluationState.RUNNING, "")
    assert run_waiting(stage.asker, "me", threading.Event()) == 1
    evaluation.refresh_from_db()
    assert evaluation.state == EvaluationState.DONE
    assert verdicts(evaluation) == truth(1)


def test_a_number_of_output_tokens_in_a_file_is_bounded():
    assert _max_tokens(b'{"max_tokens": 9000000000000000000}') == MOST_TOKENS
    assert [_max_tokens(b'{"max_tokens": %s}' % text) for text in (b"true", b"-1", b"1.5", b'"9"')] == [0] * 4


class ByTier:
    """A catalogue in which the priority tier costs twice as much."""

    def price(self, base_url, model, at, tier=""):
        factor = 2 if tier == "priority" else 1
        return Price(Rates(Decimal(factor), Decimal(10 * factor), cache_write=Decimal("1.25") * factor,
                           cache_write_1h=Decimal(2) * factor))  # fmt: skip


def test_what_is_reserved_is_the_most_that_a_request_may_cost():
    book = PriceBook(addresses={"p": "http://p"}, catalogue=ByTier())
    most = largest_cost(book, "p", "m", timezone.now(), input_tokens=1_000_000, max_tokens=100_000)
    # half as many tokens again, written for an hour, and answered by the dearest tier
    assert most == Decimal("1.5") * 4 + 2
    assert largest_cost(PriceBook(), "p", "m", timezone.now(), input_tokens=1, max_tokens=1) is None


def test_more_output_than_was_recorded_is_reserved_where_the_target_asks_for_more():
    assert profile_cap(1000, Profile(min_output_tokens=64_000)) == 64_000
    assert profile_cap(1000, Profile(min_output_tokens=64_000, max_output_tokens=8000)) == 8000
