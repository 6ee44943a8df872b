"""The outcomes that wait in memory."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from gateway.history.outcome import CapturedBodies
from gateway.history.record import outcome_queue as module
from gateway.history.record.outcome_queue import Entry, OutcomeQueue, portions, release
from tests.history.record.test_recorder import outcome


def queue_of(*sizes):
    queue = OutcomeQueue()
    entries = [Entry(outcome(n, bodies=CapturedBodies(received=bytes(size)))) for n, size in enumerate(sizes)]
    for since, entry in enumerate(entries):
        entry.since = float(since)
        queue.put(entry)
    return queue, entries


def test_what_was_written_leaves_the_queue_and_what_came_meanwhile_stays():
    queue, entries = queue_of(1, 1, 1)
    batch = queue.oldest(2)
    assert batch == entries[:2] and len(queue) == 3
    # the spooler was quicker with the first
    entries[0].outcome = None
    queue.remove_spooled()
    queue.remove(batch)
    assert queue.oldest(9) == [entries[2]]


def test_the_entries_that_have_waited_since_a_moment_are_the_oldest():
    queue, entries = queue_of(1, 1, 1)
    assert queue.waiting_since(1.0) == entries[:2]
    assert queue.waiting_since(-1.0) == []
    assert queue.waiting_since(float("inf")) == entries


def test_the_oldest_texts_go_first_and_only_as_many_as_must():
    queue, entries = queue_of(10, 20, 30)
    assert queue.shed_texts(60) == 0
    assert queue.shed_texts(35) == 2
    assert [entry.size for entry in entries] == [0, 0, 30]
    assert queue.shed_texts(35) == 0


@given(sizes=st.lists(st.integers(0, 3_000_000), max_size=600))
def test_portions_are_bounded_and_lose_nothing(sizes):
    found = list(portions(enumerate(sizes)))
    assert [item for portion in found for item in portion] == list(range(len(sizes)))
    for portion in found:
        assert 0 < len(portion) <= module.PORTION
        # without its last item it was not full
        assert sum(sizes[item] for item in portion[:-1]) < module.PORTION_BYTES


async def test_those_who_wait_are_told_once_and_those_who_gave_up_are_left_alone():
    loop = asyncio.get_running_loop()
    waiting, gone = loop.create_future(), loop.create_future()
    gone.cancel()
    release([Entry(outcome(1), waiting), Entry(outcome(2), gone), Entry(outcome(3))])
    await asyncio.wait_for(waiting, 10)
    release([Entry(outcome(1), waiting)])
    await asyncio.sleep(0)
    assert waiting.result() is None and gone.cancelled()
