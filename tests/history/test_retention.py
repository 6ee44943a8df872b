"""Contents, rows and totals go by themselves; holds keep, totals stay."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.utils import timezone

from gateway.history import retention
from gateway.history.content import content_store
from gateway.history.content.bodies import stored
from gateway.history.content.sweep import sweep
from gateway.history.record import spool
from gateway.history.record.follow_up import follow_up
from gateway.history.record.rows import write
from gateway.history.retention import forget_refused_texts, preview, purge, purge_when_due
from gateway.history.search import index
from gateway.history.totals.contributions import hour_of
from gateway.models import (
    Attempt,
    ClientKey,
    ContentBlob,
    ContentNode,
    DailyTotal,
    Dataset,
    DatasetStep,
    Evaluation,
    EvaluationStep,
    HourlyTotal,
    Lease,
    LegalHold,
    Problem,
    ProblemHour,
    PurgeRun,
    RequestBody,
    RequestLog,
    Retention,
    SearchText,
    SessionTotal,
)
from gateway.watch.problems import count_new
from tests.history.content.test_bodies import captured
from tests.history.record.test_recorder import outcome, tries

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def request(text):
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


@pytest.fixture
def stored_at(monkeypatch):
    """Writes one request of so many days ago, as then."""

    def at(days, number, **fields):
        moment = NOW - timedelta(days=days)
        monkeypatch.setattr(content_store, "this_hour", lambda: int(moment.timestamp()) // 3600)
        texts = captured(request(f"words{number}"), request(f"words{number}"))
        write([outcome(number, started_at=moment, bodies=texts, **fields)])

    return at


def keep(**days):
    Retention.objects.update_or_create(pk=Retention.ROW, defaults=days)


def kept_rows():
    return sorted(RequestLog.objects.values_list("request_id", flat=True))


def kept_bodies():
    return sorted(RequestBody.objects.values_list("pk", flat=True))


def test_contents_rows_and_totals_go_each_after_their_own_days(stored_at):
    for number, days in enumerate((1, 20, 50, 200)):
        stored_at(days, number)
    keep(body_days=10, row_days=30, total_days=100)
    before = preview(NOW)
    run = purge(NOW, breath=0)
    assert kept_bodies() == ["req_0"]
    assert kept_rows() == ["req_0", "req_1"]
    assert HourlyTotal.objects.count() == DailyTotal.objects.count() == 3
    assert (run.bodies, run.rows, run.totals) == (before.bodies, before.rows - 0, before.totals) == (3, 2, 1)


def test_totals_of_a_budget_s_period_stay_however_short_they_are_kept(stored_at):
    for number, days in enumerate((1, 30, 50)):
        stored_at(days, number)
    keep(row_days=1, total_days=1)
    assert preview(NOW).totals == 1
    assert purge(NOW, breath=0).totals == 1
    assert DailyTotal.objects.count() == 2


def test_nothing_goes_by_default(stored_at):
    stored_at(4000, 1)
    assert purge_when_due(NOW) is None
    run = purge(NOW, breath=0)
    assert (run.bodies, run.rows, run.totals, run.pieces) == (0, 0, 0, 0)
    assert stored("req_1").text("received")


def test_totals_never_shrink_when_rows_go(stored_at):
    stored_at(50, 1)
    keep(row_days=30)
    purge(NOW, breath=0)
    assert not RequestLog.objects.exists()
    assert HourlyTotal.objects.get().requests == 1


def test_pieces_and_words_of_what_went_are_gone(stored_at):
    stored_at(50, 1)
    while follow_up():
        pass
    assert index.found("words1") == ["req_1"]
    keep(body_days=10)
    assert purge(NOW, breath=0).pieces > 0
    assert index.found("words1") == []
    assert not ContentNode.objects.exists()
    assert not ContentBlob.objects.exists()


def pieces():
    return ContentNode.objects.count() + ContentBlob.objects.count()


def test_a_sweep_for_somebody_else_does_not_keep_the_pieces_of_others_longer(stored_at):
    stored_at(80, 1)
    sweep(NOW - timedelta(days=2), NOW)
    assert pieces()
    keep(body_days=90)
    purge(NOW + timedelta(days=12), breath=0)
    assert not pieces()


def test_pieces_go_soon_after_the_hold_that_kept_them(stored_at):
    stored_at(50, 1, session_id="held")
    stored_at(50, 2)
    hold = LegalHold.objects.create(session_id="held", reason="r")
    keep(body_days=10)
    purge(NOW, breath=0)
    assert stored("req_1").text("received")
    hold.delete()
    for hours in (1, 25):
        purge(NOW + timedelta(hours=hours), breath=0)
    assert not pieces()


def test_the_last_day_s_pieces_go_when_no_traffic_follows(stored_at):
    stored_at(10, 1)
    keep(body_days=9)
    assert purge(NOW, breath=0).bodies == 1
    assert pieces()
    purge(NOW + timedelta(days=2), breath=0)
    assert not pieces()


def test_a_hold_on_a_key_or_a_session_keeps_content_and_row(stored_at):
    key, _ = ClientKey.issue("k")
    stored_at(50, 1, client_key_id=key.pk)
    stored_at(50, 2, session_id="s")
    stored_at(50, 3)
    stored_at(50, 4, session_id="other", client_key_id=None)
    LegalHold.objects.create(client_key=key, reason="r")
    LegalHold.objects.create(session_id="s", reason="r")
    keep(body_days=10, row_days=30)
    assert preview(NOW).held == 2
    purge(NOW, breath=0)
    assert kept_rows() == kept_bodies() == ["req_1", "req_2"]
    assert stored("req_2").text("received")
    LegalHold.objects.all().delete()
    purge(NOW + timedelta(hours=1), breath=0)
    assert kept_rows() == []


def test_a_hold_keeps_what_was_asked_again_of_what_it_keeps(stored_at):
    key, _ = ClientKey.issue("k")
    stored_at(50, 1, session_id="s", client_key_id=key.pk)
    stored_at(50, 2, replay_of="req_1", endpoint="shadow")
    stored_at(50, 3, replay_of="req_2", endpoint="replay")
    stored_at(50, 4)
    stored_at(50, 5, replay_of="req_4", endpoint="shadow")
    LegalHold.objects.create(session_id="s", client_key=key, reason="r")
    keep(body_days=10, row_days=30)
    assert preview(NOW).held == 3
    purge(NOW, breath=0)
    assert kept_rows() == kept_bodies() == ["req_1", "req_2", "req_3"]
    assert stored("req_2").text("received")
    LegalHold.objects.all().delete()
    purge(NOW + timedelta(hours=1), breath=0)
    assert kept_rows() == []


def test_a_hold_keeps_repeats_in_however_many_steps(stored_at):
    stored_at(50, 1, session_id="s")
    for number in range(2, 7):
        stored_at(50, number, replay_of=f"req_{number - 1}", endpoint="replay")
    stored_at(50, 7)
    stored_at(50, 8, replay_of="req_7", endpoint="replay")
    stored_at(50, 9, replay_of="req_8", endpoint="replay")
    LegalHold.objects.create(session_id="s", reason="r")
    keep(body_days=10, row_days=30)
    held = [f"req_{number}" for number in range(1, 7)]
    assert preview(NOW).held == len(held)
    purge(NOW, breath=0)
    assert kept_rows() == kept_bodies() == held
    LegalHold.objects.all().delete()
    purge(NOW + timedelta(hours=1), breath=0)
    assert kept_rows() == []


def test_repeats_in_a_circle_are_looked_through_once(stored_at):
    """No request repeats itself, but a restored table may hold anything."""
    stored_at(50, 1, replay_of="req_2", endpoint="replay")
    stored_at(50, 2, replay_of="req_1", endpoint="replay", session_id="s")
    stored_at(50, 3, replay_of="req_3", endpoint="replay")
    LegalHold.objects.create(session_id="s", reason="r")
    keep(body_days=10, row_days=30)
    purge(NOW, breath=0)
    assert kept_rows() == ["req_1", "req_2"]


def test_a_shadow_that_ended_after_its_request_was_removed_keeps_no_contents(stored_at):
    stored_at(5, 1, replay_of="gone", endpoint="shadow")
    stored_at(0, 2, replay_of="gone", endpoint="shadow")
    stored_at(5, 3)
    stored_at(5, 4, replay_of="req_3", endpoint="shadow")
    keep(row_days=30)
    assert purge(NOW, breath=0).bodies == 1
    assert kept_bodies() == ["req_2", "req_3", "req_4"]


def test_an_answer_to_a_step_from_a_file_is_not_left_behind(stored_at, admin_user):
    dataset = Dataset.objects.create(name="d", taken_in=True)
    recorded = DatasetStep.objects.create(dataset=dataset, position=0, session="s", request_id="elsewhere")
    evaluation = Evaluation.objects.create(name="e", dataset=dataset, provider="p")
    EvaluationStep.objects.create(evaluation=evaluation, recorded=recorded, answer_id="req_1")
    stored_at(5, 1, replay_of="elsewhere", endpoint="replay")
    keep(row_days=30)
    purge(NOW, breath=0)
    assert kept_bodies() == ["req_1"]


def test_a_hold_on_a_session_of_a_key_is_no_hold_on_the_session_of_another(stored_at):
    key, _ = ClientKey.issue("k")
    rotated, _ = key.rotate(timedelta(0))
    other, _ = ClientKey.issue("other")
    stored_at(50, 1, session_id="s", client_key_id=key.pk)
    stored_at(50, 2, session_id="s", client_key_id=rotated.pk)
    stored_at(50, 3, session_id="s", client_key_id=other.pk)
    stored_at(50, 4, session_id="t", client_key_id=key.pk)
    stored_at(50, 5, session_id="s", client_key_id=None)
    LegalHold.objects.create(client_key=rotated, session_id="s", reason="r")
    keep(body_days=10, row_days=30)
    assert preview(NOW).held == 2
    purge(NOW, breath=0)
    assert kept_rows() == kept_bodies() == ["req_1", "req_2"]


def test_the_totals_of_a_holder_go_with_its_last_row(stored_at):
    key, _ = ClientKey.issue("k")
    stored_at(50, 1, session_id="s", client_key_id=key.pk)
    stored_at(1, 2, session_id="s", client_key_id=None)
    while follow_up():
        pass
    keep(row_days=30)
    purge(NOW, breath=0)
    assert [(total.session_id, total.holder) for total in SessionTotal.objects.all()] == [("s", "")]


def test_sessions_without_rows_go_too(stored_at):
    stored_at(50, 1, session_id="s")
    stored_at(1, 2, session_id="t")
    while follow_up():
        pass
    keep(row_days=30)
    purge(NOW, breath=0)
    assert list(SessionTotal.objects.values_list("session_id", flat=True)) == ["t"]


def test_the_attempts_of_a_request_go_with_it_and_stay_with_one_on_hold(stored_at):
    for number, session in ((1, "held"), (2, "free")):
        stored_at(50, number, session_id=session, tries=tries("error", "ok"))
    LegalHold.objects.create(session_id="held", reason="r")
    keep(body_days=10, row_days=30)
    purge(NOW, breath=0)
    assert list(Attempt.objects.values_list("log_id", "number")) == [("req_1", 1), ("req_1", 2)]


def test_words_on_hold_are_found_as_long_as_they_are_held(stored_at):
    stored_at(50, 1, session_id="held")
    stored_at(50, 2, session_id="free")
    while follow_up():
        pass
    hold = LegalHold.objects.create(session_id="held", reason="r")
    keep(body_days=10, row_days=30)
    purge(NOW, breath=0)
    assert (index.found("words1"), index.found("words2")) == (["req_1"], [])
    assert [total.session_id for total in SessionTotal.objects.all()] == ["held"]
    hold.delete()
    purge(NOW + timedelta(hours=1), breath=0)
    assert index.found("words1") == []
    assert not SearchText.objects.exists()
    assert not SessionTotal.objects.exists()


def test_many_go_in_small_batches(stored_at, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    for number in range(5):
        stored_at(50, number)
    keep(body_days=10, row_days=10)
    run = purge(NOW, breath=0)
    assert (run.bodies, run.rows) == (5, 5)


def test_requests_that_still_run_stay():
    write([outcome(1, state="open", started_at=NOW - timedelta(days=50))])
    keep(row_days=30)
    purge(NOW, breath=0)
    assert kept_rows() == ["req_1"]


def test_the_sample_of_a_problem_goes_with_its_last_request_and_its_hours_with_the_totals():
    words = {"state": "error", "provider": "p", "error_type": "api_error"}
    write(
        [
            outcome(1, started_at=NOW - timedelta(days=50), error_message="no 7 secret-1", **words),
            outcome(2, started_at=NOW - timedelta(days=1), error_message="8 secret-2 failed", **words),
        ]
    )
    count_new(NOW - timedelta(days=25))
    keep(row_days=30, total_days=40)
    purge(NOW, breath=0)
    samples = {problem.last_at: problem.sample == problem.message for problem in Problem.objects.all()}
    assert samples == {NOW - timedelta(days=50): True, NOW - timedelta(days=1): False}
    assert set(ProblemHour.objects.values_list("hour", flat=True)) == {hour_of(NOW - timedelta(days=1))}


def test_outcomes_that_no_database_took_go_when_their_contents_would(tmp_path):
    key, _ = ClientKey.issue("k")
    LegalHold.objects.create(session_id="held", reason="r")
    LegalHold.objects.create(client_key=key, session_id="of-key", reason="r")
    write([outcome(9, session_id="held", started_at=NOW - timedelta(days=50))])
    told = [
        outcome(1, started_at=NOW - timedelta(days=50)),
        outcome(2, started_at=NOW - timedelta(days=50), session_id="held"),
        outcome(3, started_at=NOW - timedelta(days=50), session_id="of-key", client_key_id=key.pk),
        outcome(4, started_at=NOW - timedelta(days=50), session_id="of-key"),
        outcome(5, started_at=NOW - timedelta(days=50), replay_of="req_9"),
        outcome(6, started_at=NOW - timedelta(days=1)),
    ]
    path = tmp_path / f"x{spool.REFUSED}"
    path.write_bytes(b"".join(spool.as_line(one) for one in told) + b"no outcome\n")
    assert forget_refused_texts(NOW, tmp_path) == 0
    keep(body_days=10)
    assert forget_refused_texts(NOW, tmp_path) == 2
    left = [spool.from_line(line).request_id for line in path.read_bytes().splitlines(True)[:-1]]
    assert left == ["req_2", "req_3", "req_5", "req_6"]


def test_only_one_process_purges_and_only_once_an_hour():
    keep(row_days=30)
    Lease.objects.create(name="purge", holder="another", until=NOW + timedelta(minutes=5))
    assert purge(NOW) is None
    # a process that died does not hold it for ever
    assert purge(NOW + timedelta(minutes=6)) is not None
    assert purge_when_due(NOW + timedelta(minutes=50)) is None
    assert purge_when_due(NOW + timedelta(minutes=70)) is not None
    assert PurgeRun.objects.count() == 2


def test_a_purge_renews_its_lease_while_it_sweeps_and_drops_totals(stored_at, monkeypatch):
    stored_at(50, 1)
    keep(body_days=10, row_days=30, total_days=40)
    monkeypatch.setattr(retention, "LEASE", timedelta(0))
    real, until = Lease.take, []

    def taken(*given):
        until.append((retention.RequestLog.objects.exists(), HourlyTotal.objects.exists()))
        return real(*given)

    monkeypatch.setattr(Lease, "take", taken)
    purge(NOW, breath=0)
    # before anything, after the rows (while pieces were swept), after the totals
    assert {(True, True), (False, True), (False, False)} <= set(until)


def test_a_purge_that_was_overtaken_leaves_the_other_its_lease(monkeypatch):
    keep(row_days=30)
    other = {"holder": "another", "until": NOW + timedelta(days=999)}
    dropped = retention._drop_totals

    def overtaken(*given):
        Lease.objects.filter(name="purge").update(**other)
        return dropped(*given)

    monkeypatch.setattr(retention, "_drop_totals", overtaken)
    purge(NOW, breath=0)
    assert Lease.objects.values("holder", "until").get(name="purge") == other


def test_the_command_says_what_would_go_and_what_went(capsys):
    write([outcome(1, started_at=datetime(2020, 1, 1, tzinfo=UTC))])
    keep(row_days=30)
    call_command("purgehistory", dry_run=True)
    assert "1 requests" in capsys.readouterr().out
    assert kept_rows() == ["req_1"]
    call_command("purgehistory")
    assert "1 requests, 0 hourly totals" in capsys.readouterr().out
    assert kept_rows() == []


@pytest.mark.django_db
@pytest.mark.parametrize("days", [36_501, 9_999_999, 2**31 - 1])
def test_so_many_days_that_no_year_is_left_are_refused_and_do_no_harm(days):
    record = Retention.current()
    record.body_days = record.row_days = record.total_days = days
    with pytest.raises(ValidationError, match="36500"):
        record.full_clean()
    # as an earlier release stored it
    record.save()
    now = timezone.now()
    assert (preview(now).bodies, preview(now).rows) == (0, 0)
    purge(now)
