"""An erasure leaves the totals, and nothing that says who it was or what they wrote."""

import threading
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.history import retention
from gateway.history.record import spool
from gateway.history.record.follow_up import ended_exchanges, work_off
from gateway.history.search import index
from gateway.models import (
    Attempt,
    ClientKey,
    ContentRead,
    DailyTotal,
    DatasetStep,
    Erasure,
    EvaluationStep,
    Lease,
    LegalHold,
    NotificationChannel,
    Problem,
    RequestBody,
    RequestLog,
    Retention,
    SessionTotal,
)
from gateway.personal_data import erasure as module
from gateway.personal_data.erasure import MayNotErase, begin, carry_on, carry_on_all, holds_of
from tests.history.record.test_recorder import outcome, tries
from tests.personal_data.conftest import KEY, MARKS, NAME, NOW, SECRET_TALK

pytestmark = pytest.mark.django_db(transaction=True)
TWO_DAYS_LATER = NOW + module.UNTIL_SWEPT


def erased(left, by=None, at=NOW):
    made = begin(left.person, by, at)
    return carry_on(made, at, left.spool)


def found(dump):
    """The lines of the database in which a mark is left; of a hold, the log keeps which session it named."""
    said = [
        line.replace("mina-session", "") if line.startswith("django_admin_log:") else line
        for line in dump().splitlines()
    ]
    return [line for line in said if any(mark in line for mark in MARKS)]


def test_the_scene_has_something_in_every_place(left, dump):
    marked = "\n".join(found(dump))
    for mark in MARKS:
        assert mark in marked, mark
    # SQLite's index has the words beside it, PostgreSQL's in it
    words = "gateway_searchwords" if connection.vendor == "postgresql" else "gateway_searchtext"
    for table in ("auth_user", "gateway_clientkey", "gateway_requestlog", "gateway_sessiontotal",
                  "gateway_contentblob", words, "gateway_datasetstep", "gateway_notice",
                  "gateway_devicegrant", "gateway_savedview", "gateway_contentread", "django_admin_log",
                  "gateway_problem", "gateway_safeguardrule", "gateway_managedpolicy", "gateway_refusedkey",
                  "gateway_notificationchannel", "gateway_evaluationstep", "gateway_cachemiss",
                  "gateway_modelmapping", "gateway_delivery"):  # fmt: skip
        assert f"{table}: " in marked, table


def test_nothing_of_the_person_is_left_in_the_whole_database(left, dump, admin_user):
    totals = list(DailyTotal.objects.order_by("pk").values())
    done = erased(left, admin_user)
    assert (done.requests, done.contents, done.held) == (4, 4, 0)
    assert all("gateway_contentblob" in line for line in found(dump)), found(dump)
    assert not done.finished_at
    done = carry_on(done, TWO_DAYS_LATER, left.spool)
    assert found(dump) == []
    assert done.finished_at
    assert list(DailyTotal.objects.order_by("pk").values()) == totals
    assert index.found(SECRET_TALK) == []


def test_what_belongs_to_others_stays(left, admin_user):
    done = erased(left, admin_user)
    carry_on(done, TWO_DAYS_LATER, left.spool)
    assert list(RequestLog.objects.values_list("request_id", flat=True)) == ["req_9"]
    assert list(RequestBody.objects.values_list("pk", flat=True)) == ["req_9"]
    assert index.found("somebody") == ["req_9"]
    assert SessionTotal.objects.get().session_id == "ottos"
    assert User.objects.get(username="otto").is_active
    assert ClientKey.objects.get(name="ottos").revoked_at is None
    assert ContentRead.objects.filter(user=admin_user, request_id="req_1").exists()


def test_the_account_stays_without_a_name_and_is_refused(left, admin_user):
    erased(left, admin_user)
    person = User.objects.get(pk=left.person.pk)
    assert person.username == f"erased-{person.pk}"
    assert not (person.is_active or person.is_staff or person.email or person.has_usable_password())
    assert not person.groups.exists()
    key = ClientKey.objects.get(pk=left.key.pk)
    assert key.revoked_at and key.name == f"erased-{person.pk}-1" and key.owner == ""
    assert ContentRead.objects.get(user=person).user_name == person.username
    assert NotificationChannel.objects.get().addresses == ["ops@example.org"]


def test_evaluations_keep_their_figures_and_their_sessions_apart(left, admin_user):
    erased(left, admin_user)
    first, second = DatasetStep.objects.order_by("position")
    assert first.session == second.session and first.session.startswith("erased-")
    assert (first.request_id, first.agent_id) == ("", "")
    assert EvaluationStep.objects.values_list("answer_id", "judge_id", "error").get() == ("", "", "")
    assert Problem.objects.get().sample == "…"


def test_what_a_hold_covers_stays_with_the_name_until_it_is_lifted(left, dump, admin_user):
    hold = LegalHold.objects.create(session_id="mina-session", client_key=left.key, reason="a case")
    number, holds = holds_of(left.person.pk)
    assert (number, holds) == (2, [hold])
    done = erased(left, admin_user)
    # with what was asked again of it
    assert sorted(RequestLog.objects.values_list("request_id", flat=True)) == [
        "req_1", "req_2", "req_3", "req_4", "req_9"
    ]  # fmt: skip
    assert done.held == 2 and done.unnamed_at is None
    person = User.objects.get(pk=left.person.pk)
    assert person.username == NAME and not person.is_active
    assert ClientKey.objects.get(pk=left.key.pk).revoked_at
    carry_on(done, TWO_DAYS_LATER, left.spool)
    assert done.finished_at is None
    hold.delete()
    carry_on_all(TWO_DAYS_LATER, left.spool, threading.Event())
    assert User.objects.get(pk=left.person.pk).username.startswith("erased-")
    carry_on_all(TWO_DAYS_LATER + module.UNTIL_SWEPT, left.spool, threading.Event())
    assert Erasure.objects.get().finished_at
    assert found(dump) == []


def test_what_comes_late_goes_too(left, dump, admin_user):
    done = erased(left, admin_user)
    left.ask(20)
    left.ask(21, replay_of="req_1", endpoint="shadow", client_key_id=None, owner_id=None, session_id="",
             key_name="", client_address="", agent_id="", prompt_id="", tools_called=[],
             tries=tries("error"))  # fmt: skip
    Attempt.objects.filter(log_id="req_21").update(error_message=SECRET_TALK)
    carry_on_all(NOW + timedelta(days=2), left.spool, threading.Event())
    assert sorted(RequestBody.objects.values_list("pk", flat=True)) == ["req_9"]
    carry_on_all(NOW + timedelta(days=5), left.spool, threading.Event())
    done.refresh_from_db()
    assert done.finished_at and found(dump) == []


def test_what_a_process_served_that_was_cut_off_goes_too(left, dump, admin_user):
    done = erased(left, admin_user)
    left.ask(26, at=NOW + timedelta(hours=30))
    left.ask(27, at=NOW + timedelta(hours=31), replay_of="req_26", endpoint="shadow")
    carry_on_all(NOW + timedelta(days=2), left.spool, threading.Event())
    assert list(RequestLog.objects.values_list("request_id", flat=True)) == ["req_9"]
    carry_on_all(NOW + timedelta(days=6), left.spool, threading.Event())
    done.refresh_from_db()
    assert done.finished_at and found(dump) == []


def test_steps_of_datasets_are_emptied_when_their_requests_were_purged_before(left, dump, admin_user):
    RequestLog.objects.filter(request_id__in=["req_1", "req_2", "req_3", "req_4"]).delete()
    held = left.ask(28)
    DatasetStep.objects.update(session=f"mina-session user:{left.person.pk}")
    LegalHold.objects.create(session_id="mina-session", reason="a case")
    step = DatasetStep.objects.order_by("position").first()
    kept = DatasetStep.objects.create(
        dataset=step.dataset, position=99, session=step.session, request_id=held, agent_id="mina-agent"
    )
    DatasetStep.objects.create(
        dataset=step.dataset, position=98, session="x user:1" + str(left.person.pk), request_id="purged"
    )
    erased(left, admin_user)
    facts = DatasetStep.objects.values_list("request_id", "agent_id")
    assert facts.get(pk=step.pk) == ("", "")
    assert facts.get(pk=kept.pk) == (held, "mina-agent")
    assert facts.get(position=98)[0] == "purged"


def test_late_repeats_of_others_requests_keep_their_rows(left, admin_user):
    done = erased(left, admin_user)
    # one whose request was purged, with its contents; one that ended after its request was removed
    left.ask(22, replay_of="purged", endpoint="replay", owner_id=left.other.pk, bodies=None)
    left.ask(23, replay_of="purged", endpoint="replay", owner_id=left.other.pk)
    carry_on(done, NOW + timedelta(days=2), left.spool)
    rows = RequestLog.objects.filter(replay_of="purged").order_by("pk")
    assert list(rows.values_list("request_id", "error_message")) == [
        ("req_22", f"{SECRET_TALK} failed"), ("req_23", "")
    ]  # fmt: skip
    assert not RequestBody.objects.filter(log__replay_of="purged").exists()


def test_words_that_are_indexed_while_their_request_goes_go_too(left, admin_user, monkeypatch):
    left.ask(24)
    taken = ended_exchanges(["req_24"])
    drop_rows = module.drop_rows

    def followed_up(names):
        if "req_24" in names:
            # between the first look at the index and the end of the transaction
            work_off(taken)
        return drop_rows(names)

    monkeypatch.setattr(module, "drop_bodies", lambda names: 0)
    monkeypatch.setattr(module, "drop_rows", followed_up)
    erased(left, admin_user)
    assert not RequestLog.objects.filter(request_id="req_24").exists()
    assert index.found(SECRET_TALK) == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_words_of_a_follow_up_that_is_under_way_go_too(left, admin_user, monkeypatch):
    """It has seen its request in the queue and has not written yet: the erasure waits for it."""
    left.ask(25)
    taken = ended_exchanges(["req_25"])
    begun, go_on, put = threading.Event(), threading.Event(), index.put

    def late(texts):
        begun.set()
        assert go_on.wait(60)
        put(texts)

    def in_a_thread(what):
        def run():
            try:
                what()
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    monkeypatch.setattr(index, "put", late)
    following = in_a_thread(lambda: work_off(taken))
    assert begun.wait(60)
    erasing = in_a_thread(lambda: erased(left, admin_user))
    # one that does not wait is over by then
    erasing.join(2)
    go_on.set()
    following.join(60)
    erasing.join(60)
    assert not RequestLog.objects.filter(request_id="req_25").exists()
    assert index.found(SECRET_TALK) == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_requests_are_locked_before_anything_else_of_them_goes(left, admin_user):
    """As the follow-up does, so that the two never wait for each other."""
    with CaptureQueriesContext(connection) as queries:
        erased(left, admin_user)
    asked = [query["sql"] for query in queries]
    locked = next(place for place, sql in enumerate(asked) if "pg_advisory_xact_lock" in sql)
    changed = next(
        place
        for place, sql in enumerate(asked)
        if sql.startswith(("DELETE", "UPDATE")) and ("followup" in sql or "datasetstep" in sql)
    )
    assert locked < changed


def test_an_erasure_keeps_its_own_lease_by_the_clock(left, admin_user, monkeypatch):
    begin(left.person, admin_user, NOW)
    monkeypatch.setattr(retention, "LEASE", timedelta(0))
    Retention.objects.create(pk=Retention.ROW)
    until = []

    def looked(names):
        until.append(Lease.objects.get(name=module.TASK).until)
        return drop_rows(names)

    drop_rows = module.drop_rows
    monkeypatch.setattr(module, "drop_rows", looked)
    monkeypatch.setattr(retention, "BATCH", 1)
    before = timezone.now()
    carry_on_all(NOW, left.spool, threading.Event())
    assert len(until) > 1 and until[0] >= before + module.LEASE and until[-1] > until[0]
    assert not Lease.objects.filter(name=retention.TASK).exists()
    assert Lease.objects.get(name=module.TASK).until is None


def test_rows_that_no_database_took_go_from_their_file(left, admin_user):
    theirs, others = (
        spool.as_line(outcome(number, owner_id=pk))
        for number, pk in ((30, left.person.pk), (31, left.other.pk))
    )
    path = spool.keep_refused(left.spool, "p", theirs + others + b"no outcome\n")
    alone = spool.keep_refused(left.spool, "q", theirs)
    erased(left, admin_user)
    assert path.read_bytes() == others + b"no outcome\n"
    assert not alone.exists()
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_log_says_who_erased_and_neither_whom_nor_what_was_before(left, admin_user):
    erased(left, admin_user)
    entry = LogEntry.objects.filter(change_message__contains="The person was erased").get()
    assert (entry.object_repr, entry.object_id) == (f"erased-{left.person.pk}", str(left.person.pk))
    issued = LogEntry.objects.filter(user=admin_user, object_id=str(left.key.pk)).first()
    assert issued is not None and KEY not in issued.change_message


def test_nobody_erases_themselves_and_no_superuser_is_erased_by_another(left, admin_user):
    with pytest.raises(MayNotErase):
        begin(admin_user, admin_user, NOW)
    with pytest.raises(MayNotErase):
        begin(admin_user, left.other, NOW)
    assert not Erasure.objects.exists()


def test_asking_twice_is_one_erasure(left, admin_user):
    assert begin(left.person, admin_user, NOW).pk == begin(left.person, admin_user, NOW).pk


class TestCommand:
    def test_it_says_first_and_does_it_with_yes(self, left, run, settings):
        settings.GATEWAY = {**settings.GATEWAY, "spool_folder": left.spool}
        LegalHold.objects.create(session_id="mina-session", reason="a case")
        said = run("eraseperson", NAME)
        assert "Would erase 0 requests" in said and "a case" in said and "Held requests: 2" in said
        assert RequestLog.objects.count() == 5
        LegalHold.objects.all().delete()
        assert "Would erase 2 requests" in run("eraseperson", NAME)
        left.ask(40)
        said = run("eraseperson", NAME, "--yes")
        assert "Erased: 5 requests" in said
        with pytest.raises(CommandError):
            run("eraseperson", NAME, "--yes")
