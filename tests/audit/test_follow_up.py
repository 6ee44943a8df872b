"""What is done with finished exchanges later: each message is found, sessions are counted."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.audit import follow_up as follow_up_module
from gateway.audit import search
from gateway.audit.follow_up import FollowUpWorker, follow_up
from gateway.audit.outcome import CapturedBodies, ExchangeOutcome
from gateway.audit.rows import write
from gateway.models import ContentNode, FollowUp, RequestLog, SearchText, SessionTotal
from gateway.wire import jsontext, messages, sse
from tests.audit.index import empty_index

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
    write(
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
    total = SessionTotal.objects.get(pk="s")
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
    real = follow_up_module.message_texts

    def message_texts(message):
        if message["content"] in ("word1", "word2"):
            raise ZeroDivisionError
        return real(message)

    monkeypatch.setattr(follow_up_module, "message_texts", message_texts)
    follow_up()
    assert FollowUp.objects.count() == 0
    assert list(search.found("word3", 10)) == ["req_3"]
    assert SessionTotal.objects.get().requests == 2
    assert caplog.text.count("cannot be indexed") == 2
