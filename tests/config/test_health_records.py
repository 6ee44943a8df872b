"""What a process learnt of credentials and targets, as records."""

import threading
import time
from datetime import UTC, datetime

import pytest
from django.db import OperationalError

from gateway.config import health_records as module
from gateway.config.health_records import StandingRecords, write
from gateway.config.snapshot.loader import load
from gateway.models import ConfigStamp, SetAsideTarget
from gateway.routing.health_events import Change
from tests.records import make_provider

pytestmark = pytest.mark.django_db
NOW = 1_800_000_000.0


@pytest.fixture
def credential():
    return make_provider(credential="sk-1").credentials.get()


def refused(credential, **fields):
    facts = {"since": NOW, "status": 401, "reason": "no", "refused": True, **fields}
    return Change("p", "m", credential.pk, "c1", **facts)


def cooling(**fields):
    return Change("p", "m", **{"since": NOW, "until": NOW + 5, "reason": "full", "failures": 3, **fields})


def test_a_refused_credential_is_set_aside_for_every_process(credential):
    write(refused(credential), "here")
    [known] = load().providers["p"].credentials
    assert (known.set_aside.status, known.set_aside.reason, known.set_aside.until) == (401, "no", None)


def test_the_same_word_twice_moves_the_stamp_once(credential):
    before = ConfigStamp.current()
    write(refused(credential), "here")
    write(refused(credential), "there")
    assert ConfigStamp.current() == before + 1


def test_a_success_brings_it_back_and_says_nothing_when_it_was_not_away(credential):
    write(refused(credential), "here")
    write(refused(credential, since=None), "here")
    before = ConfigStamp.current()
    write(refused(credential, since=None), "here")
    assert load().providers["p"].credentials[0].set_aside is None
    assert ConfigStamp.current() == before


def test_a_credential_that_is_gone_is_no_problem(credential):
    change = refused(credential)
    credential.delete()
    write(change, "here")


def test_a_target_that_is_set_aside_is_a_row_of_its_process_that_moves_no_stamp():
    before = ConfigStamp.current()
    write(cooling(), "here")
    write(cooling(until=NOW + 10, failures=4), "here")
    write(cooling(), "there")
    [row] = SetAsideTarget.objects.filter(process="here")
    assert (row.provider, row.upstream_model, row.failures, row.reason) == ("p", "m", 4, "full")
    assert row.until == datetime.fromtimestamp(NOW + 10, UTC)
    assert ConfigStamp.current() == before
    write(cooling(since=None), "here")
    assert [row.process for row in SetAsideTarget.objects.all()] == ["there"]


def test_rows_of_processes_that_died_are_forgotten():
    write(cooling(since=1.0, until=2.0), "dead")
    write(cooling(since=3.0, until=4.0), "here")
    assert [row.process for row in SetAsideTarget.objects.all()] == ["here"]


def test_texts_that_no_database_takes_are_mended():
    long = Change("p", "m" * 500, since=NOW, until=NOW, reason="r\x00" * 500)
    write(long, "here")
    write(long, "here")
    assert SetAsideTarget.objects.count() == 1


def test_an_admin_who_brings_a_provider_back_clears_everything_of_it(credential):
    write(refused(credential), "here")
    write(cooling(), "here")
    credential.provider.bring_back()
    config = load().providers["p"]
    assert config.credentials[0].set_aside is None
    assert config.brought_back is not None
    assert not SetAsideTarget.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_notes_are_written_beside_the_caller_and_the_end_takes_the_rows_back(credential):
    records = StandingRecords("here")
    records.note(refused(credential))
    records.note(cooling())
    records.stop()
    credential.refresh_from_db()
    assert credential.is_set_aside
    assert not SetAsideTarget.objects.exists()


def test_a_reason_that_no_database_takes_is_mended(credential):
    write(refused(credential, reason="no\x00" + "x" * 400), "here")
    credential.refresh_from_db()
    assert credential.set_aside_reason == "no\ufffd" + "x" * 297


@pytest.mark.django_db(transaction=True)
def test_a_note_that_cannot_be_written_is_said_and_does_not_hold_up_the_next(credential, monkeypatch, caplog):
    real = module.write

    def broken(change, process):
        if change.refused:
            raise ValueError("not text")
        real(change, process)

    monkeypatch.setattr(module, "write", broken)
    records = StandingRecords("here")
    records.note(refused(credential))
    records.note(cooling())
    assert records.flush()
    assert SetAsideTarget.objects.count() == 1
    assert "standing not written" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_note_waits_for_a_database_that_is_away_and_the_last_word_counts(monkeypatch):
    real, away = module.write, [True]

    def write(change, process):
        if away:
            away.pop()
            raise OperationalError("gone")
        real(change, process)

    monkeypatch.setattr(module, "write", write)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    records = StandingRecords("here")
    records.note(cooling(reason="first"))
    records.note(cooling(reason="second"))
    assert records.flush()
    assert [row.reason for row in SetAsideTarget.objects.all()] == ["second"]
    records.stop()


def test_a_database_that_never_answers_does_not_hold_up_the_stop(monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(module, "write", lambda *_: answered.wait(30))
    monkeypatch.setattr(module.StandingRecords, "_forget", lambda _self: None)
    records = StandingRecords("here")
    for number in range(3 * module.MOST_WAITING):
        records.note(Change("p", str(number), since=NOW, until=NOW))
    assert len(records._waiting) == module.MOST_WAITING
    before = time.monotonic()
    records.stop(timeout=0.1)
    assert time.monotonic() - before < 25
    answered.set()
