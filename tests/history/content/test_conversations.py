"""Stored conversations as wholes: their beginnings, their segments, their messages."""

import pytest
from django.db import transaction

from gateway.history.content.bodies import packed, store
from gateway.history.content.codec import decompressed
from gateway.history.content.conversations import messages, openings, segments
from gateway.history.outcome import CapturedBodies
from gateway.models import ContentBlob, RequestBody, RequestLog
from gateway.wire import jsontext

pytestmark = pytest.mark.django_db(transaction=True)


def turn(number, said="m"):
    return {"role": "assistant" if number % 2 else "user", "content": f"{said}{number}"}


def kept(name, said):
    request = {"model": "m", "messages": said}
    bodies = CapturedBodies({}, jsontext.dumps(request), b"", received_json=request)
    with transaction.atomic():
        RequestLog.objects.create(request_id=name)
        store([(name, packed(bodies))])
    return bytes(RequestBody.objects.get(log__request_id=name).received_head)


def test_the_opening_of_each_conversation_is_its_first_messages():
    grown = kept("one", [turn(n) for n in range(7)])
    short = kept("two", [turn(0, "other")])
    assert openings([grown, short, grown]) == {
        grown: [turn(0), turn(1), turn(2)],
        short: [turn(0, "other")],
    }
    assert openings([]) == {}
    assert openings([b"x" * 32]) == {}


def test_a_conversation_that_grows_is_one_segment_and_one_that_was_compacted_or_forked_two():
    ends = [kept(f"grows {n}", [turn(each) for each in range(n)]) for n in (1, 3, 5)]
    forked = kept("forked", [*(turn(each) for each in range(3)), turn(3), turn(4, "else")])
    compacted = kept("compacted", [turn(0, "summary")])
    newest_first = [compacted, forked, *ends[::-1]]
    assert segments(newest_first, 10) == [compacted, forked, ends[-1]]
    assert segments(newest_first, 2) == [compacted, forked]
    assert segments([], 10) == []


def test_messages_are_read_in_portions():
    end = kept("long", [turn(n) for n in range(9)])
    assert messages(end) == ([turn(n) for n in range(9)], 9)
    assert messages(end, 3, 2) == ([turn(3), turn(4)], 9)
    assert messages(end, 8, 40) == ([turn(8)], 9)
    assert messages(end, 20, 40) == ([], 9)


def test_a_message_that_is_gone_is_none_and_those_beside_it_are_there():
    end = kept("damaged", [turn(n) for n in range(3)])
    [blob] = [one for one in ContentBlob.objects.all() if b"m1" in jsontext.dumps(messages_of(one))]
    blob.delete()
    assert messages(end) == ([turn(0), None, turn(2)], 3)
    assert openings([end]) == {end: [turn(0), turn(2)]}


def messages_of(blob):
    return jsontext.loads(decompressed(blob.data))
