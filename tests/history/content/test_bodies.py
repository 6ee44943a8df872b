"""Bodies in the database: shared, rebuilt, written twice or by two at once."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from subprocess import PIPE

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from bench.sessions import session, streams
from bench.stored import sizes
from gateway.history.content import bodies, content_store
from gateway.history.content.bodies import packed, rebuilt, store
from gateway.history.content.chunking import Chain
from gateway.history.outcome import CapturedBodies
from gateway.models import ContentBlob, ContentNode, RequestBody, RequestLog
from gateway.wire import jsontext
from tests.server.conftest import environment, prepare_database

ROOT = Path(__file__).parent.parent.parent.parent
pytestmark = pytest.mark.django_db(transaction=True)


def captured(received, sent=None, **texts) -> CapturedBodies:
    return CapturedBodies(
        {"user-agent": "x"},
        jsontext.dumps(received),
        jsontext.dumps(sent) if sent else b"",
        received_json=received,
        sent_json=sent,
        **texts,
    )


def kept(request_id: str, texts: CapturedBodies) -> None:
    with transaction.atomic():
        RequestLog.objects.get_or_create(request_id=request_id)
        store([(request_id, packed(texts))])


def counts():
    return RequestBody.objects.count(), ContentNode.objects.count(), ContentBlob.objects.count()


def test_every_part_comes_back(words):
    answered, returned = streams(words)
    for number, (received, sent) in enumerate(session(4)):
        kept(f"r{number}", captured(received, sent, answered=answered, returned=returned))
        assert rebuilt(f"r{number}", "received") == jsontext.dumps(received)
        assert rebuilt(f"r{number}", "sent") == jsontext.dumps(sent)
        assert rebuilt(f"r{number}", "answered") == answered
        assert rebuilt(f"r{number}", "returned") == returned
    assert bodies.stored("r0").headers == {"request": {"user-agent": "x"}}


def test_what_was_not_kept_is_none():
    kept("r", CapturedBodies(received=b"{"))
    assert rebuilt("r", "received") == b"{"
    assert [rebuilt("r", part) for part in ("sent", "answered", "returned")] == [None] * 3
    assert rebuilt("another", "received") is None
    with pytest.raises(TypeError, match="no such part"):
        rebuilt("r", "nonsense")


def test_a_request_is_rebuilt_in_a_number_of_queries_that_does_not_grow():
    sizes = []
    for number, (received, _) in enumerate(session(30)):
        kept(f"r{number}", captured(received))
        with CaptureQueriesContext(connection) as queries:
            rebuilt(f"r{number}", "received")
        sizes.append(len(queries))
    # the row, two chains, and the long texts of each
    assert max(sizes) == sizes[-1] == 5


def test_a_turn_writes_its_new_messages_and_one_row():
    written = []
    for number, (received, sent) in enumerate(session(5)):
        before = counts()
        kept(f"r{number}", captured(received, sent))
        written.append(tuple(now - then for now, then in zip(counts(), before, strict=True)))
    # 3 system blocks, 2 tool lists, 3 messages, and 2 long texts that are in both requests;
    # then 2 messages in each and the tool's result that is in both
    assert written == [(1, 8, 10), (1, 4, 5), (1, 4, 5), (1, 4, 5), (1, 4, 5)]


def test_a_message_that_comes_again_elsewhere_is_stored_once():
    message = {"role": "user", "content": "again " * 100}
    kept("r1", captured({"messages": [message, message]}))
    kept("r2", captured({"messages": [{"role": "user", "content": "x"}, message]}))
    # the short message, the long one, and its text
    assert counts() == (2, 4, 3)


def test_writing_an_exchange_twice_changes_nothing():
    received, sent = next(session(1))
    kept("r", captured(received, sent))
    before = counts(), list(RequestBody.objects.values())
    kept("r", captured(received, sent))
    content_store.known.forget()
    kept("r", captured(received, sent))
    assert (counts(), list(RequestBody.objects.values())) == before


def test_a_batch_is_three_statements():
    turns = [(f"r{number}", packed(captured(*both))) for number, both in enumerate(session(5))]
    RequestLog.objects.bulk_create([RequestLog(request_id=request_id) for request_id, _ in turns])
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        store(turns)
    assert len([query for query in queries if "INSERT" in query["sql"]]) == 3


def test_nothing_is_known_that_was_not_committed():
    received, _ = next(session(1))
    with pytest.raises(RuntimeError), transaction.atomic():
        store([("r", packed(captured(received)))])
        raise RuntimeError
    assert len(content_store.known) == 0
    kept("r", captured(received))
    assert rebuilt("r", "received") == jsontext.dumps(received)


def test_what_is_known_is_forgotten_after_the_next_hour_and_when_the_clock_goes_back():
    known = content_store.Known()
    chain = Chain([1], [b"1"])
    known.add(chain.digests, 100)
    assert [bool(known.unknown([chain], hour)) for hour in (99, 100, 101, 102)] == [True, False, False, True]


def test_what_is_known_is_bounded():
    known = content_store.Known(most=20)
    for number in range(1000):
        chain = Chain([number], [b"%d" % number])
        known.add(chain.digests, 100)
    assert len(known) <= 20
    assert not known.unknown([chain], 100)


def test_a_stamp_is_refreshed_when_it_is_an_hour_that_is_no_longer_known(monkeypatch):
    received, _ = next(session(1))
    for hour, expected in ((100, 100), (101, 100), (102, 102), (101, 102)):
        monkeypatch.setattr(content_store, "this_hour", lambda hour=hour: hour)
        kept(f"r{hour}", captured(received))
        for model in (ContentNode, ContentBlob):
            assert set(model.objects.values_list("used", flat=True)) == {expected}


def test_a_gap_in_a_chain_is_said_and_not_skipped():
    received, _ = list(session(3))[-1]
    kept("r", captured(received))
    ContentNode.objects.filter(parent=None).delete()
    with pytest.raises(bodies.UnreadableContent):
        rebuilt("r", "received")


def test_two_processes_may_store_the_same_pieces_at_once(tmp_path):
    prepare_database(tmp_path)
    env = environment(tmp_path, DJANGO_SETTINGS_MODULE="ccproxy_site.settings")
    run = partial(subprocess.Popen, env=env, cwd=ROOT, text=True, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    both = [run([sys.executable, "-m", "tests.history.two_processes", name]) for name in "ab"]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [(*process.communicate(timeout=60), process.returncode) for process in both]
    assert [code for _, _, code in ends] == [0, 0], ends
    nodes = 8 + 39 * 4
    # two results are short
    assert f"80 {nodes} {nodes + 2 + 37}\n" in [out for out, _, _ in ends]


def test_two_hundred_turns_take_less_than_twice_the_last_request_alone(words):
    stored = 0
    if connection.vendor == "postgresql":
        # rows of other tests, though rolled back, would count in the sizes of the tables
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE gateway_contentnode, gateway_contentblob, gateway_requestbody CASCADE")
    for number, (received, sent) in enumerate(session(200)):
        answered, returned = streams(words)
        kept(f"r{number}", captured(received, sent, answered=answered, returned=returned))
    for model in (ContentNode, ContentBlob, RequestBody):
        for row in model.objects.values_list():
            stored += sum(4 if isinstance(value, int) else len(value) for value in row if value is not None)
    last = jsontext.dumps(received)
    assert rebuilt("r199", "received") == last
    assert stored < 2 * len(last)
    if connection.vendor == "postgresql":
        # with indexes, page heads and what the database compresses or does not
        assert sum(sizes().values()) < 2 * len(last)
