"""What no row needs goes; what a row needs stays."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.sessions import session
from gateway.history.content import content_store
from gateway.history.content import sweep as sweeping
from gateway.history.content.bodies import packed, rebuilt, store
from gateway.history.content.sweep import Swept, sweep
from gateway.models import ContentBlob, ContentNode, RequestBody, RequestLog
from gateway.wire import jsontext
from tests.examples import examples
from tests.history.content.test_bodies import captured

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TURNS = list(session(8))
OTHER = list(session(4, seed=2))


@pytest.fixture
def clock(monkeypatch):
    """Sets the hour in which rows are stored."""
    return lambda moment: monkeypatch.setattr(
        content_store, "this_hour", lambda: int(moment.timestamp()) // 3600
    )


def kept(clock, request_id, turn, at, *, stored_at=None):
    clock(stored_at or at)
    RequestLog.objects.create(request_id=request_id, started_at=at)
    store([(request_id, packed(captured(*turn)))])


def days(count):
    return NOON + timedelta(days=count)


def readable(request_id, turn):
    return rebuilt(request_id, "received") == jsontext.dumps(turn[0]) and rebuilt(
        request_id, "sent"
    ) == jsontext.dumps(turn[1])


def test_everything_goes_when_no_row_is_left(clock):
    for number, turn in enumerate(TURNS):
        kept(clock, f"r{number}", turn, days(0))
    RequestBody.objects.all().delete()
    assert sweep(days(10), days(40)) == Swept(36, 44)
    assert not ContentNode.objects.exists()
    assert not ContentBlob.objects.exists()


def test_the_pieces_of_a_row_that_is_still_there_stay_and_those_of_others_go(clock):
    kept(clock, "held", TURNS[5], days(0))
    kept(clock, "gone", OTHER[3], days(0))
    RequestBody.objects.filter(pk="gone").delete()
    assert sweep(days(10), days(40)).nodes > 0
    assert readable("held", TURNS[5])
    RequestBody.objects.all().delete()
    sweep(days(60), days(90))
    assert not ContentBlob.objects.exists()


def test_an_old_beginning_stays_with_a_young_end(clock):
    kept(clock, "old", TURNS[2], days(0))
    kept(clock, "young", TURNS[7], days(30))
    RequestBody.objects.filter(pk="old").delete()
    sweep(days(20), days(40))
    assert readable("young", TURNS[7])


def test_a_chain_that_was_marked_in_part_is_marked_to_its_beginning(clock):
    kept(clock, "held", TURNS[6], days(0))
    # a young end before an old beginning, as no store leaves it
    ContentNode.objects.filter(pk=RequestBody.objects.get().received_head).update(used=10**6)
    sweep(days(20), days(40))
    assert readable("held", TURNS[6])


def test_nothing_of_the_last_day_goes_whatever_is_asked(clock):
    kept(clock, "r", TURNS[0], days(0))
    RequestBody.objects.all().delete()
    assert sweep(days(1000), days(1)) == Swept(0, 0)
    assert sweep(days(1000), days(4)) != Swept(0, 0)


def test_a_row_that_is_stored_late_keeps_its_pieces(clock):
    kept(clock, "spooled", TURNS[3], days(0), stored_at=days(39))
    sweep(days(20), days(40))
    assert readable("spooled", TURNS[3])


def test_a_row_that_is_stored_between_marking_and_sweep_keeps_its_pieces(clock, monkeypatch):
    kept(clock, "gone", TURNS[3], days(0))
    RequestBody.objects.all().delete()
    remove = sweeping._remove

    def meanwhile(*arguments):
        if not RequestBody.objects.exists():
            kept(clock, "late", TURNS[4], days(0), stored_at=days(40))
        return remove(*arguments)

    monkeypatch.setattr(sweeping, "_remove", meanwhile)
    sweep(days(20), days(40))
    assert readable("late", TURNS[4])


def test_each_batch_is_bounded(clock, django_assert_max_num_queries):
    for number, turn in enumerate(TURNS):
        kept(clock, f"r{number}", turn, days(0))
    RequestBody.objects.all().delete()
    with django_assert_max_num_queries(1000) as queries:
        sweep(days(10), days(40), batch=10)
    # 36 of each are four batches, and a look that finds nothing
    assert len([query for query in queries if "LIMIT" in query["sql"] and "contentnode" in query["sql"]]) == 5


def test_a_sweep_renews_the_lease_after_each_page_and_batch(clock, monkeypatch):
    monkeypatch.setattr(sweeping, "ROWS", 2)
    for number, turn in enumerate(TURNS[:4]):
        kept(clock, f"r{number}", turn, days(0))
    renewed = []
    sweep(days(20), days(40), keep=lambda: renewed.append(1))
    assert len(renewed) == 2
    RequestBody.objects.all().delete()
    sweep(days(20), days(42), batch=1000, keep=lambda: renewed.append(1))
    assert len(renewed) == 4


def test_many_rows_are_marked_page_by_page(clock, monkeypatch):
    monkeypatch.setattr(sweeping, "ROWS", 2)
    for number, turn in enumerate(TURNS):
        kept(clock, f"r{number}", turn, days(0))
    assert sweep(days(20), days(40)) == Swept(0, 0)
    for number, turn in enumerate(TURNS):
        assert readable(f"r{number}", turn)


@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["keep", "drop", "sweep"]), st.integers(0, 11), st.integers(0, 72)),
        max_size=12,
    )
)
def test_whatever_happens_a_sweep_never_takes_what_a_row_needs(clock, steps):
    for model in (RequestLog, ContentNode, ContentBlob):
        model.objects.all().delete()
    content_store.known.forget()
    turns, there, now = [*TURNS, *OTHER], {}, NOON
    for count, (step, number, hours) in enumerate(steps):
        now += timedelta(hours=hours)
        if step == "keep":
            kept(clock, f"r{count}", turns[number], now)
            there[f"r{count}"] = turns[number]
        elif step == "drop" and there:
            request_id = sorted(there)[number % len(there)]
            RequestBody.objects.filter(pk=request_id).delete()
            del there[request_id]
        else:
            sweep(now - timedelta(hours=number * 6), now)
        for request_id, turn in there.items():
            assert readable(request_id, turn)
