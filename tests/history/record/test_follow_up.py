"""What is done with finished exchanges later: each message is found, sessions are counted."""

import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from django.db import OperationalError, connection, connections, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.history.content import content_store
from gateway.history.follow_up_queue import Handover
from gateway.history.outcome import CapturedBodies, ExchangeOutcome
from gateway.history.record import follow_up as module
from gateway.history.record.follow_up import FollowUpWorker, follow_up, work_off
from gateway.history.record.rows import write
from gateway.history.search import index as search
from gateway.history.search import new_texts
from gateway.history.totals import sessions as session_totals
from gateway.models import (
    ContentBlob,
    ContentNode,
    FollowUp,
    RequestBody,
    RequestLog,
    SearchText,
    SessionTotal,
)
from gateway.wire import jsontext, messages, sse
from tests.examples import examples
from tests.history.index import empty_index

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def said(role, text):
    return {"role": role, "content": text}


def ended(number, *conversation, answer="", **fields):
    bodies = CapturedBodies(
        received=jsontext.dumps({"model": "m", "system": "forbidden words", "messages": list(conversation)}),
        returned=sse.encode_all(
            [
                messages.message_start({"content": []}),
                messages.block_start(0, {"type": "text", "text": ""}),
                messages.text_delta(0, answer),
            ]
        )
        if answer
        else b"",
    )
    return write(
        [
            ExchangeOutcome(
                **{
                    "request_id": f"req_{number}", "started_at": NOON + timedelta(seconds=number),
                    "endpoint": "messages", "state": "ok", "session_id": "s", "bodies": bodies, **fields,
                }
            )
        ]
    )  # fmt: skip


@pytest.fixture(autouse=True)
def an_empty_index():
    """The words stand in a table that is no model's, so nobody empties it between tests."""
    empty_index()


@pytest.fixture
def conversation():
    first = said("user", "please mend the parser")
    second = said("assistant", "the parser is mended")
    third = said("user", "now the printer of 数据库")
    ended(1, first, answer="the parser is mended")
    ended(2, first, second, third, answer="the printer prints")
    while follow_up():
        pass


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("mend", ["req_1"]),
        ("PARSER mended", ["req_1"]),
        ("printer", ["req_2"]),
        ("print*", ["req_2"]),
        ('"printer prints"', ["req_2"]),
        ('"prints printer"', []),
        ("数据", ["req_2"]),
        ("据数", []),
        ("forbidden", []),
        ("nothing", []),
        ("the", ["req_2", "req_1"]),
        ("NOT the OR", []),
        ('"', []),
        ("'; DROP TABLE x --", []),
    ],
)
def test_a_text_is_found_under_the_request_that_brought_it(conversation, query, found):
    assert search.found(query) == found


def test_each_message_is_indexed_once(conversation):
    places = SearchText.objects.count()
    ended(3, said("user", "please mend the parser"), said("assistant", "x"), said("user", "branch"))
    follow_up()
    assert search.found("mend") == ["req_1"]
    assert search.found("branch") == ["req_3"]
    assert SearchText.objects.count() == places + 2


def test_doing_it_again_changes_nothing(conversation):
    before = SearchText.objects.count(), SessionTotal.objects.values().get()
    FollowUp.objects.create(request_id="req_1")
    follow_up()
    assert (SearchText.objects.count(), SessionTotal.objects.values().get()) == before
    assert not FollowUp.objects.exists()


def test_what_is_removed_is_not_found_and_its_words_are_gone(conversation):
    assert search.remove(["req_1"]) == 2
    assert search.found("mend") == []
    assert search.found("printer") == ["req_2"]
    assert search.remove(["req_1", "req_9"]) == 0


def test_the_numbers_of_a_session_are_those_of_its_rows():
    ended(1, input_tokens=10, output_tokens=1, attempts=3, tools_called=["Bash"], duration_ms=500)
    ended(2, input_tokens=20, cache_read_tokens=7, state="error", agent_id="a", duration_ms=100, attempts=1)
    ended(3, endpoint="count_tokens", input_tokens=1000)
    ended(4, session_id="other", input_tokens=1)
    follow_up()
    total = SessionTotal.objects.get(session_id="s")
    assert (total.requests, total.failed, total.retries, total.agents) == (2, 1, 2, 1)
    assert (total.input_tokens, total.output_tokens, total.cache_read_tokens) == (30, 1, 7)
    assert (total.tool_count, total.busy_ms) == (1, 600)
    assert (total.first_at, total.last_at) == (NOON + timedelta(seconds=1), NOON + timedelta(seconds=2))


def test_bodies_that_cannot_be_read_and_rows_that_are_gone_leave_the_queue(conversation):
    ended(5, said("user", "lost"))
    ended(6, said("user", "gone"))
    ContentNode.objects.all().delete()
    RequestLog.objects.filter(request_id="req_6").delete()
    assert follow_up() == 2
    assert follow_up() == 0


def test_the_worker_works_off_the_queue_and_stops():
    ended(1, said("user", "hello"))
    worker = FollowUpWorker()
    worker.start()
    worker._thread.join(0)
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    while FollowUp.objects.exists() and datetime.now(UTC) < deadline:
        worker._thread.join(0.05)
    worker.stop()
    assert not worker._thread.is_alive()
    assert search.found("hello") == ["req_1"]


@pytest.mark.parametrize("levels", [300, 950, 985, 1000])
def test_a_message_nested_too_deeply_holds_up_nobody(levels):
    nested = b"[" * levels + b"]" * levels
    body = b'{"model":"m","messages":[{"role":"user","content":' + nested + b"}]}"
    for number in (1, 2):
        write(
            [
                ExchangeOutcome(
                    request_id=f"req_{number}", started_at=NOON, endpoint="messages", state="error",
                    bodies=CapturedBodies(received=body if number == 1 else b"{}"),
                )
            ]
        )  # fmt: skip
    follow_up()
    assert FollowUp.objects.count() == 0


def test_an_exchange_that_cannot_be_indexed_is_left_out_and_holds_up_nobody(monkeypatch, caplog):
    for number in (1, 2, 3):
        ended(number, said("user", f"word{number}"), session_id=("", "s", "s")[number - 1])
    real = new_texts.message_texts

    def message_texts(message):
        if message["content"] in ("word1", "word2"):
            raise ZeroDivisionError
        return real(message)

    monkeypatch.setattr(new_texts, "message_texts", message_texts)
    follow_up()
    assert FollowUp.objects.count() == 0
    assert list(search.found("word3", 10)) == ["req_3"]
    assert SessionTotal.objects.get().requests == 2
    assert caplog.text.count("cannot be indexed") == 2


def forget_everything():
    """As after the database was replaced."""
    content_store.known.forget()
    empty_index()
    for model in (SearchText, FollowUp, ContentNode, ContentBlob, RequestBody, RequestLog):
        model.objects.all().delete()


TURNS = [
    [said("user", "alpha beta")],
    [said("user", "alpha beta"), said("assistant", "gamma"), said("user", "delta")],
    # what an assistant said is not known from its answer here
    [said("user", "other"), said("assistant", "epsilon"), said("user", "zeta")],
    [said("user", "alpha beta"), said("assistant", "gamma"), said("user", "delta")],
    [said("user", "alpha beta"), said("assistant", "gamma"), said("user", "eta"), said("assistant", "theta")],
    [said("user", "sk-ant-api03-" + "aB3dE5gH" * 6)],
    [said("user", "other"), said("assistant", "epsilon"), said("user", "zeta"), said("user", "iota")],
]


@given(
    turns=st.lists(
        st.tuples(
            st.integers(0, len(TURNS) - 1), st.sampled_from(["messages", "count_tokens"]), st.booleans()
        ),
        max_size=9,
    )
)
@settings(max_examples=examples(30))
def test_what_is_told_is_indexed_as_what_is_read(turns):
    """(turn, endpoint, whether those before are worked off first)."""
    indexes = []
    for by_memory in (True, False):
        forget_everything()
        told = []
        for number, (turn, endpoint, first) in enumerate(turns):
            if first:
                if by_memory:
                    work_off(told)
                else:
                    follow_up()
                told = []
            told += ended(number, *TURNS[turn], answer=f"answer {turn}", endpoint=endpoint, session_id="")
        if by_memory:
            work_off(told)
        else:
            follow_up()
        assert not FollowUp.objects.exists()
        indexes.append(
            (
                set(SearchText.objects.values_list("digest", "request_id")),
                [search.found(word) for word in ("alpha", "gamma", "epsilon", "iota", "answer", "masked")],
            )
        )
    assert indexes[0] == indexes[1]


def test_what_is_told_is_not_read_again(monkeypatch):
    told = ended(1, said("user", "one"), answer="hello")
    told += ended(2, said("user", "one"), said("assistant", "hello"), said("user", "two"), answer="there")
    monkeypatch.setattr(search, "new_nodes", lambda ends: {} if not ends else 1 / 0)
    work_off(told)
    assert [search.found(word) for word in ("one", "two", "hello")] == [["req_1"], ["req_2"], ["req_1"]]
    assert SessionTotal.objects.get().requests == 2
    assert not FollowUp.objects.exists()


def test_what_was_removed_meanwhile_is_not_indexed():
    told = ended(1, said("user", "gone")) + ended(2, said("user", "there"))
    FollowUp.objects.filter(pk="req_1").delete()
    work_off(told)
    assert (search.found("gone"), search.found("there")) == ([], ["req_2"])


def test_what_does_not_fit_into_the_handover_is_read_from_the_database():
    handover = Handover(most=300)
    worker = FollowUpWorker(handover)
    assert not worker._work()
    handover.put(ended(1, said("user", "small")))
    handover.put(ended(2, said("user", "large " * 99)))
    assert not worker._work()
    assert (search.found("small"), search.found("large")) == (["req_1"], [])
    assert handover.take(9) == []
    worker._look_at_queue()
    worker._look_at_queue()
    assert search.found("large") == ["req_2"]


def test_what_another_process_left_is_taken_at_the_second_look(monkeypatch):
    worker = FollowUpWorker()
    assert not worker._work()
    ended(1, said("user", "mine"))
    worker._look_at_queue()
    ended(2, said("user", "later"))
    assert search.found("mine") == []
    worker._look_at_queue()
    assert (search.found("mine"), search.found("later")) == (["req_1"], [])


def test_what_was_told_while_the_database_was_away_is_done_later(monkeypatch):
    handover = Handover()
    worker = FollowUpWorker(handover)
    assert not worker._work()
    handover.put(ended(1, said("user", "hello")))
    with monkeypatch.context() as patched:
        patched.setattr(search, "put", lambda _texts: (_ for _ in ()).throw(OperationalError("away")))
        with pytest.raises(OperationalError):
            worker._work()
    worker._look_at_queue()
    worker._look_at_queue()
    assert search.found("hello") == ["req_1"]


def test_what_waits_in_memory_is_not_read_from_the_queue(monkeypatch):
    handover = Handover()
    worker = FollowUpWorker(handover)
    assert not worker._work()
    handover.put(ended(1, said("user", "hello")))
    monkeypatch.setattr(module, "ended_exchanges", None)
    worker._look_at_queue()
    worker._look_at_queue()
    assert search.found("hello") == []
    assert not worker._work()
    assert search.found("hello") == ["req_1"]


def test_under_load_only_what_others_left_is_read_from_the_queue(monkeypatch):
    ended(1, said("user", "left"))
    handover = Handover()
    worker = FollowUpWorker(handover)
    assert not worker._work()
    assert search.found("left") == ["req_1"]
    monkeypatch.setattr(module, "ended_exchanges", None)
    monkeypatch.setattr(module, "QUEUE_EVERY", 0)
    for number in range(2, 6):
        handover.put(ended(number, said("user", f"mine{number}")))
        assert not worker._work()
    assert search.found("mine5") == ["req_5"]


def test_a_text_of_long_words_holds_up_neither_index_nor_sessions():
    sums = [sha256(str(number).encode()).hexdigest() for number in range(20_000)]
    ended(1, said("user", " ".join(sums)), session_id="long")
    ended(2, said("user", "word2"), session_id="short")
    follow_up()
    assert FollowUp.objects.count() == 0
    assert search.found("word2") == ["req_2"]
    assert search.found(sums[0]) == ["req_1"]
    assert {total.session_id for total in SessionTotal.objects.all()} == {"long", "short"}


def test_a_large_session_is_worked_out_once_a_minute_and_at_the_end(monkeypatch):
    monkeypatch.setattr(session_totals, "LARGE", 2)
    now = [0.0]
    pace = session_totals.SessionPace(lambda: now[0])

    def counted():
        return SessionTotal.objects.get(session_id="s").requests

    for number in range(1, 6):
        work_off(ended(number, said("user", "x")), pace=pace)
    # the third made it large
    assert counted() == 3
    now[0] = session_totals.EVERY - 1
    work_off(ended(6, said("user", "x"), session_id="other"), pace=pace)
    assert (counted(), SessionTotal.objects.get(session_id="other").requests) == (3, 1)
    now[0] = session_totals.EVERY
    work_off([], pace=pace)
    assert counted() == 5
    work_off(ended(7, said("user", "x")), pace=pace)
    assert pace.rest() == ["s"] and pace.rest() == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_totals_of_a_session_never_go_back_to_what_a_slower_process_read(monkeypatch):
    ended(1, said("user", "x"))
    ended(2, said("user", "x"))
    begun, go_on = threading.Event(), threading.Event()
    real = SessionTotal.objects.update_or_create

    def slowly(**facts):
        begun.set()
        assert go_on.wait(60)
        return real(**facts)

    def in_a_thread():
        try:
            with transaction.atomic():
                session_totals.work_out("s")
        finally:
            connections.close_all()

    monkeypatch.setattr(SessionTotal.objects, "update_or_create", slowly)
    slow = threading.Thread(target=in_a_thread)
    slow.start()
    assert begun.wait(60)
    ended(3, said("user", "x"))
    monkeypatch.setattr(SessionTotal.objects, "update_or_create", real)
    quick = threading.Thread(target=in_a_thread)
    quick.start()
    # one that does not wait is over by then
    quick.join(2)
    go_on.set()
    slow.join(60)
    quick.join(60)
    assert SessionTotal.objects.get().requests == 3
