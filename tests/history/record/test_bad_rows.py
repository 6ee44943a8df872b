"""Rows that no column holds: each goes in with as much of it as there is room for, and stops nobody."""

from __future__ import annotations

import itertools
import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from django.db.models import Sum
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.config.health_records import StandingRecords
from gateway.history.outcome import AttemptFacts, CapturedBodies, ExchangeOutcome
from gateway.history.record.follow_up import follow_up
from gateway.history.record.recorder import Recorder
from gateway.history.record.spool_lines import masked_line
from gateway.history.search import index
from gateway.history.secrets.masker import masker
from gateway.history.totals import sessions
from gateway.models import FollowUp, HourlyTotal, RequestLog, SessionTotal, SetAsideTarget
from gateway.models.database_errors import concerns_server
from gateway.routing.health_events import Change
from gateway.wire import jsontext
from tests.examples import examples

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
numbered = itertools.count(1)

ODD_TEXTS = (
    "\x00",
    "\ud800",
    "a\udfffb",
    "\u0000\u0001\u001b[31m",
    "word" * 300_000,
    "\U0001f600" * 5_000,
    "'; DROP TABLE gateway_requestlog; --",
    "%s ? {} \\u0000 \\ud800",
)
texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(st.characters(), max_size=300))
numbers = st.one_of(
    st.none(), st.integers(), st.sampled_from([-1, 2**15, 2**31 - 1, 2**31, 2**63, 10**40, True])
)


def deep(levels: int):
    value: object = "end"
    for _ in range(levels):
        value = [value]
    return value


values = st.one_of(
    texts, st.sampled_from([deep(10), deep(120), 10**400, float("inf"), None, {"\x00": "\ud800"}])
)
entries = st.fixed_dictionaries({"code": texts, "path": values, "note": values})
bodies = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b'{"messages":[{"role":"user","content":' + b"[" * 900 + b"]" * 900 + b"}]}",
            b'{"messages":[{"role":"user","content":"' + b"x" * 1_000_000 + b'"}]}',
            b'{"messages":[{"role":"user","content":"\\ud800 \\u0000 word"}],"n":' + b"9" * 5_000 + b"}",
            b'{"messages":[{"role":"user","content":"' + bytes(range(1, 32)) + b'"}]}',
            b'{"messages":[{"role":"\\u0000","content":[{"type":"text","text":7},null]}]}',
        ]
    ),
)


@st.composite
def bad(draw) -> ExchangeOutcome:
    def texts_of(*names):
        return {name: draw(texts) for name in names}

    def numbers_of(*names):
        return {name: draw(numbers) for name in names}

    attempt = AttemptFacts(
        **{**texts_of("provider", "upstream_model", "credential", "error_message", "upstream_request_id")},
        **numbers_of("status", "first_byte_ms", "duration_ms", "pause_ms"),
        number=1,
        started_at=NOON,
    )
    return ExchangeOutcome(
        request_id=f"req_bad_{next(numbered)}",
        started_at=draw(
            st.sampled_from([NOON, datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))), None])
        ),
        endpoint="messages",
        state=draw(st.sampled_from(["ok", "error", "cancelled", "broken"])),
        **texts_of(
            "session_id", "agent_id", "key_name", "client", "client_address", "asked_model", "provider",
            "upstream_model", "mapping", "error_type", "error_message", "stop_reason", "replay_of",
            "upstream_request_id",
        ),
        **numbers_of(
            "status", "input_tokens", "output_tokens", "cache_read_tokens", "thinking_tokens",
            "letter_tokens", "first_byte_ms", "duration_ms", "attempts", "mapping_pk", "client_key_id",
            "masked_count",
        ),
        ledger=draw(st.lists(entries, max_size=2)),
        tools_called=draw(st.lists(values, max_size=2)),
        timeline=draw(st.lists(st.lists(values, max_size=2), max_size=2)),
        tries=(attempt,),
        bodies=CapturedBodies(
            {draw(texts): draw(texts)}, received=draw(bodies), answered=draw(bodies), returned=draw(bodies)
        ),
    )  # fmt: skip


def good(name: str, session: str = "good") -> ExchangeOutcome:
    body = jsontext.dumps({"messages": [{"role": "user", "content": f"hello {name}"}]})
    return ExchangeOutcome(
        name, NOON, "messages", "ok", session_id=session, output_tokens=1, bodies=CapturedBodies({}, body)
    )


@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=examples(60), suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(outcome=bad())
@example(
    outcome=ExchangeOutcome("req_bad_0", NOON, "messages", "ok", session_id="\ud800", output_tokens=10**40)
)
def test_whatever_is_in_a_row_it_is_stored_and_those_beside_it_are_whole(tmp_path, outcome):
    number = next(numbered)
    recorder = Recorder(tmp_path / "spool", "test")
    # a session of its own: one that grows with each example is counted anew each time
    session = f"good {number}"
    before, after = good(f"req_before_{number}", session), good(f"req_after_{number}", session)
    recorder._write([before, outcome, after])
    while follow_up():
        pass
    assert RequestLog.objects.filter(request_id=outcome.request_id, state=outcome.state).count() == 1
    for whole in (before, after):
        row = RequestLog.objects.get(request_id=whole.request_id)
        assert (row.output_tokens, row.ledger, row.body.received_size) == (1, [], len(whole.bodies.received))
    assert index.found(after.request_id, 2) == [after.request_id]
    assert FollowUp.objects.count() == 0
    assert SessionTotal.objects.get(session_id=session).requests == 2
    assert HourlyTotal.objects.aggregate(all=Sum("requests"))["all"] == RequestLog.objects.count()
    assert not list((tmp_path / "spool").glob("*.refused"))
    # the way through a file keeps as much
    line = masked_line(outcome, masker)
    assert line is not None
    (tmp_path / "spool").mkdir(exist_ok=True)
    (tmp_path / "spool" / f"dead-{number}.spool").write_bytes(line)
    assert recorder.recover(tmp_path / "spool") == 1
    assert not list((tmp_path / "spool").glob("*.refused"))


@pytest.mark.django_db(transaction=True)
def test_a_row_says_what_it_is_stored_without(tmp_path):
    recorder = Recorder(tmp_path / "spool", "test")
    recorder._write([ExchangeOutcome("req_1", NOON, "messages", "ok", output_tokens=10**40, input_tokens=3)])
    row = RequestLog.objects.get()
    assert (row.output_tokens, row.input_tokens) == (None, 3)
    assert [(entry["code"], entry["path"]) for entry in row.ledger] == [("dropped", "history: output_tokens")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "beside",
    [
        {"novelties": [["claude-cli/9", "beta", "\ud800"]]},
        {"verdicts": [{"decision": "allowed", "took_ms": 10**40, "tool": "Bash"}]},
    ],
)
def test_what_is_refused_beside_a_row_does_not_cost_its_texts_and_tokens(tmp_path, beside):
    bodies = CapturedBodies({}, b'{"messages":[]}', returned=b"said")
    bad = ExchangeOutcome("req_1", NOON, "messages", "ok", output_tokens=9, bodies=bodies, **beside)
    Recorder(tmp_path / "spool", "test")._write([bad])
    row = RequestLog.objects.get()
    assert row.output_tokens == 9 and row.body.returned_size == 4


@pytest.mark.django_db(transaction=True)
def test_a_session_that_cannot_be_counted_holds_up_no_other(tmp_path, monkeypatch, caplog):
    Recorder(tmp_path / "spool", "test")._write([good("req_1")])
    other = ExchangeOutcome("req_2", NOON, "messages", "ok", session_id="other")
    Recorder(tmp_path / "spool", "test")._write([other])
    real = sessions.work_out

    def work_out(session_id):
        if session_id == "good":
            SessionTotal.objects.create(session_id="good", first_at=NOON, last_at=NOON, requests=10**30)
        return real(session_id)

    monkeypatch.setattr(sessions, "work_out", work_out)
    follow_up()
    assert FollowUp.objects.count() == 0
    assert [total.session_id for total in SessionTotal.objects.all()] == ["other"]
    assert "cannot be counted" in caplog.text


def of_postgresql(state: str, kind=OperationalError) -> Exception:
    problem = kind(f"problem {state}")
    problem.__cause__ = psycopg.errors.lookup(state)()
    return problem


@pytest.mark.parametrize(
    "state", ["08006", "57P01", "53300", "53100", "42P01", "42703", "40P01", "25006", "0A000"]
)
def test_trouble_of_the_server_is_waited_for(state):
    assert concerns_server(of_postgresql(state))


@pytest.mark.parametrize("state", ["54000", "22001", "22003", "22021", "22P05", "23502", "23514", "21000"])
def test_trouble_of_a_row_is_not_waited_for_whatever_class_it_comes_as(state):
    for kind in (OperationalError, DataError, IntegrityError, ProgrammingError, InterfaceError):
        assert not concerns_server(of_postgresql(state, kind))


@pytest.mark.parametrize(
    ("problem", "server"),
    [
        (OperationalError("connection is closed"), True),
        (InterfaceError("connection already closed"), True),
        (ProgrammingError("Cannot operate on a closed database."), True),
        (ProgrammingError("cannot adapt type 'object'"), False),
        (InterfaceError("Error binding parameter 1 - probably unsupported type."), False),
        (DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), False),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), False),
        (OverflowError("Python int too large to convert to SQLite INTEGER"), False),
    ],
)
def test_a_driver_s_own_errors_are_told_apart(problem, server):
    assert concerns_server(problem) is server


@pytest.mark.parametrize(
    ("statement", "server"),
    [
        ("SELECT sum(x) FROM (SELECT 9223372036854775807 AS x UNION ALL SELECT 1)", False),
        ("SELECT json('[')", False),
        ("INSERT INTO t VALUES (NULL)", False),
        ("SELECT * FROM missing", True),
        ("SELECT missing FROM t", True),
        ("INSERT INTO t (missing) VALUES (1)", True),
    ],
)
def test_sqlite_s_errors_are_told_apart(statement, server):
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (x INTEGER NOT NULL)")
    with pytest.raises(sqlite3.Error) as raised:
        connection.execute(statement).fetchall()
    problem = OperationalError(str(raised.value))
    problem.__cause__ = raised.value
    assert concerns_server(problem) is server


@pytest.mark.django_db(transaction=True)
def test_a_target_whose_name_no_column_takes_is_set_aside_in_the_records():
    records = StandingRecords("test")
    for model in ("m\x00\ud800", "plain"):
        change = Change(
            provider="p", upstream_model=model, credential="c", credential_id=1, since=2e9, until=2e9,
            status=500, reason="\x00\ud800" * 400, failures=10**20,
        )  # fmt: skip
        records.note(change)
    records.flush()
    assert SetAsideTarget.objects.count() == 2
    records.stop()
