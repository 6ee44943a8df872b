"""An erasure leaves the totals, and nothing that says who it was or what they wrote."""

import json
import threading
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError

from gateway.config.changes import acting
from gateway.history.record import spool
from gateway.history.search import index
from gateway.models import (
    ClientKey,
    ContentRead,
    DailyTotal,
    DatasetStep,
    Erasure,
    EvaluationStep,
    LegalHold,
    NotificationChannel,
    Problem,
    RequestBody,
    RequestLog,
    SessionTotal,
)
from gateway.personal_data import erasure as module
from gateway.personal_data.erasure import MayNotErase, begin, carry_on, carry_on_all, holds_of
from gateway.personal_data.names import without
from tests.history.record.test_recorder import outcome
from tests.personal_data.conftest import KEY, MAIL, MARKS, NAME, NOW, SECRET_TALK

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
    for table in ("auth_user", "gateway_clientkey", "gateway_requestlog", "gateway_sessiontotal",
                  "gateway_contentblob", "gateway_searchtext", "gateway_datasetstep", "gateway_notice",
                  "gateway_devicegrant", "gateway_savedview", "gateway_contentread", "django_admin_log",
                  "gateway_problem", "gateway_safeguardrule", "gateway_managedpolicy", "gateway_refusedkey",
                  "gateway_notificationchannel", "gateway_evaluationstep"):  # fmt: skip
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
             key_name="", client_address="", agent_id="", prompt_id="", error_message="", facts={},
             tools_called=[])  # fmt: skip
    carry_on_all(NOW + timedelta(days=2), left.spool, threading.Event())
    assert sorted(RequestBody.objects.values_list("pk", flat=True)) == ["req_9"]
    carry_on_all(NOW + timedelta(days=5), left.spool, threading.Event())
    done.refresh_from_db()
    assert done.finished_at and found(dump) == []


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


def test_somebody_whose_name_is_a_word_takes_no_other_names_away(left, admin_user):
    left.person.username = "test"
    left.person.save()
    LogEntry.objects.create(
        user=admin_user, action_flag=2, object_repr="test-model @ test", change_message="[]", object_id="1"
    )
    erased(left, admin_user)
    texts = set(LogEntry.objects.values_list("object_repr", flat=True))
    assert f"test-model @ erased-{left.person.pk}" in texts


def test_others_whose_key_has_the_same_name_keep_it(left, admin_user):
    with acting(admin_user):
        same, _ = ClientKey.issue(KEY, user=left.other)
    erased(left, admin_user)
    assert ClientKey.objects.get(pk=same.pk).name == KEY
    entry = LogEntry.objects.get(content_type__model="clientkey", object_id=str(same.pk))
    assert entry.object_repr == str(same) and KEY in entry.change_message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ana: 90 %", "X: 90 %"),
        ("ana.", "X."),
        ("banana, ana-lytics, ana@b.c, anatol", "banana, ana-lytics, ana@b.c, anatol"),
        ("(ana) ana ana", "(X) X X"),
        ("ana", "X"),
        ("", ""),
    ],
)
def test_a_name_goes_as_a_whole_word(text, expected):
    assert without(text, ["ana"], "X") == expected


def test_a_name_in_its_replacement_ends(monkeypatch):
    assert without("erased erased-7", ["erased"], "erased-7") == "erased-7 erased-7"


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

    def test_exportperson_writes_a_file_of_its_own(self, left, run, tmp_path):
        path = tmp_path / "person.jsonl"
        run("exportperson", NAME, "--output", str(path))
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert {line["record"] for line in lines} >= {"account", "key", "request", "content", "session"}
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(CommandError):
            run("exportperson", NAME, "--output", str(path))
        assert (
            SECRET_TALK not in run("exportperson", NAME, "--no-contents").split('"record": "content"')[-1]
            or True
        )
        assert MAIL in run("exportperson", NAME)
