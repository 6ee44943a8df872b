"""The recorder: rows and bodies of many exchanges, each exactly once."""

import dataclasses
import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from gateway.audit import recorder as module
from gateway.audit.outcome import CapturedBodies, ExchangeOutcome
from gateway.audit.recorder import Recorder, write
from gateway.models import ClientKey, RequestBody, RequestLog

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def outcome(number: int = 1, **fields) -> ExchangeOutcome:
    return ExchangeOutcome(
        **{
            "request_id": f"req_{number}",
            "started_at": NOON,
            "endpoint": "messages",
            "state": "ok",
            "asked_model": "m",
            "status": 200,
            **fields,
        }
    )


def test_every_fact_of_an_outcome_is_a_column_of_the_row():
    told = outcome(
        session_id="s",
        agent_id="a",
        provider="p",
        upstream_model="u",
        mapping="*",
        mapping_pk=3,
        streamed=True,
        stop_reason="end_turn",
        input_tokens=1,
        output_tokens=2,
        cache_read_tokens=3,
        cache_write_tokens=4,
        thinking_tokens=5,
        usage_estimated=True,
        first_byte_ms=6,
        duration_ms=7,
        attempts=2,
        ledger=[{"code": "dropped", "path": "top_k", "note": "n"}],
        tools_called=["f"],
        upstream_request_id="up",
    )
    write([told])
    row = RequestLog.objects.get()
    for field in dataclasses.fields(ExchangeOutcome):
        if field.name != "bodies":
            assert getattr(row, field.name) == getattr(told, field.name), field.name
    assert row.ledger_count == 1


def test_the_end_of_an_exchange_replaces_its_beginning():
    write([outcome(state="open", status=None)])
    write([outcome(state="ok", output_tokens=9)])
    row = RequestLog.objects.get()
    assert (row.state, row.output_tokens) == ("ok", 9)


def test_beginning_and_end_in_one_batch_are_one_insert():
    write([outcome(state="open"), outcome(state="error")])
    assert RequestLog.objects.get().state == "error"


def test_writing_a_batch_twice_changes_nothing():
    batch = [outcome(bodies=CapturedBodies({"a": "b"}, b"in", b"out", b"", b"back"))]
    write(batch)
    write(batch)
    assert RequestLog.objects.count() == RequestBody.objects.count() == 1


def test_a_batch_of_many_is_as_many_statements_as_a_batch_of_few():
    def statements(size):
        with CaptureQueriesContext(connection) as queries:
            write([outcome(n, request_id=f"{size}-{n}") for n in range(size)])
        return len(queries)

    # SQLite takes 999 values a statement, which is some 25 rows
    assert statements(20) == statements(2)


def test_the_four_texts_come_back_byte_by_byte():
    write([outcome(bodies=CapturedBodies({"user-agent": "x"}, b"in \xff", b"out", b"", b"back"))])
    body = RequestBody.objects.get()
    assert body.text("received") == b"in \xff"
    assert body.text("returned") == b"back"
    assert body.text("answered") is None
    assert body.headers == {"request": {"user-agent": "x"}}


def test_the_keys_last_use_is_noted_without_a_change_of_configuration():
    key, _ = ClientKey.issue("k")
    later = NOON + timedelta(hours=1)
    write([outcome(1, client_key_id=key.pk, started_at=later), outcome(2, client_key_id=key.pk)])
    key.refresh_from_db()
    assert key.last_used == later


def test_a_key_that_is_gone_does_not_lose_the_row():
    write([outcome(client_key_id=12345, key_name="gone")])
    assert RequestLog.objects.get().key_name == "gone"


def test_characters_and_lengths_no_database_takes_are_mended():
    ledger = [{"code": "dropped", "path": "a\x00b", "note": ""}]
    write([outcome(asked_model="m\x00" + "x" * 5000, error_message="e" * 5000, ledger=ledger)])
    row = RequestLog.objects.get()
    assert "\x00" not in row.asked_model + str(row.ledger)
    assert len(row.asked_model) == 200


def test_what_was_handed_in_is_in_the_database_after_a_stop():
    recorder = Recorder()
    for number in range(500):
        recorder.opened(outcome(number, state="open"))
        recorder.closed(outcome(number))
    recorder.stop()
    assert RequestLog.objects.filter(state="ok").count() == 500


def test_a_database_that_does_not_answer_is_asked_again_and_nothing_is_lost(monkeypatch, caplog):
    failures = [DatabaseError("gone"), DatabaseError("gone")]
    tried = threading.Event()
    real = module.write

    def flaky(batch):
        if failures:
            tried.set()
            raise failures.pop()
        real(batch)

    monkeypatch.setattr(module, "write", flaky)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    recorder = Recorder()
    recorder.closed(outcome())
    assert tried.wait(5)
    recorder.stop()
    assert RequestLog.objects.count() == 1
    assert "trying again" in caplog.text


def test_a_row_that_the_database_refuses_does_not_hold_up_the_others(caplog):
    caplog.set_level(logging.ERROR)
    recorder = Recorder()
    recorder.closed(outcome(1, started_at=None))
    recorder.closed(outcome(2))
    recorder.stop()
    assert [row.request_id for row in RequestLog.objects.all()] == ["req_2"]
    assert "refused by the database" in caplog.text
    assert caplog.records[-1].request_id == "req_1"
