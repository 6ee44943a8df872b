"""What every store does: memory, the database of the run, Redis."""

import threading

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limits.counting import Ask, counted
from gateway.limits.database_store import DatabaseStore
from gateway.limits.meters import CounterStanding, Need, Subject, meters_of
from gateway.limits.redis_store import RedisStore
from gateway.limits.stores import Changes, Charge, End, Hold, MemoryStore, StoreUnavailable
from gateway.routing.snapshot import KeyLimits
from tests.examples import examples

# Redis keeps its own clock
NOW = 4_000_000_000.0
LATER = 4_000_000_060
MUCH_LATER = 4_000_086_400


@pytest.fixture(params=["memory", pytest.param("database", marks=pytest.mark.django_db), "redis"])
def store(request):
    if request.param == "memory":
        return MemoryStore()
    if request.param == "redis":
        redis = RedisStore(request.getfixturevalue("redis_server").url(7))
        redis._redis.flushdb()
        return redis
    request.getfixturevalue("db")
    return DatabaseStore()


def charge(store, *charges, also=()):
    return store.apply(Changes(charges=[Charge(*each, LATER) for each in charges], also=set(also)), now=NOW)


def hold(store, request, amount, account="a"):
    return store.apply(Changes(holds=[Hold(account, request, amount, MUCH_LATER, LATER)]), now=NOW)


def end(store, request, held, used, account="a"):
    return store.apply(Changes(ends=[End(account, request, held, used, MUCH_LATER, MUCH_LATER)]), now=NOW)


def stands(store, account="a"):
    standing = store.apply(Changes(also={account}), now=NOW).get(account, CounterStanding())
    # those who ask for more than a counter's value get it with a change
    held = store.apply(Changes(holds=[Hold(account, "look", 0, MUCH_LATER, LATER)]), now=NOW)[account].held
    end(store, "look", 0, 0, account)
    return standing.used, held


def test_charges_add_up(store):
    assert charge(store, ("a", 2))["a"].used == 2
    after = charge(store, ("a", 3), ("b", 1), ("a", 1))
    assert (after["a"].used, after["b"].used) == (6, 1)


def test_a_charge_can_be_taken_back(store):
    charge(store, ("a", 5))
    assert charge(store, ("a", -5))["a"].used == 0


def test_other_counters_can_be_read_along(store):
    charge(store, ("a", 5))
    after = charge(store, ("b", 1), also=["a", "never"])
    assert (after["a"].used, after["b"].used) == (5, 1) and "never" not in after


def test_what_is_held_becomes_what_was_used(store):
    assert hold(store, "r1", 10)["a"][:2] == (0, 10)
    assert hold(store, "r2", 5)["a"][:2] == (0, 15)
    assert end(store, "r1", 10, 7)["a"][:2] == (7, 5)
    end(store, "r2", 5, 0)
    assert stands(store) == (7, 0)


def test_a_request_ends_once(store):
    hold(store, "r1", 10)
    for _ in range(2):
        end(store, "r1", 10, 7)
    end(store, "never began", 10, 7)
    assert stands(store) == (7, 0)


def test_an_account_is_made_anew_from_the_history_and_what_that_does_not_have(store):
    for request in ("known", "running and known", "running", "ended"):
        hold(store, request, 10)
    end(store, "known", 10, 3)
    end(store, "ended", 10, 4)
    account = store.account("a", now=NOW)
    assert account.reconciled == 0
    assert {(row.request, row.amount, row.ended) for row in account.rows} == {
        ("known", 3, True), ("running and known", 10, False), ("running", 10, False), ("ended", 4, True),
    }  # fmt: skip
    assert store.reconcile("a", 0, 100, {"known", "running and known"}, MUCH_LATER, now=NOW)
    assert stands(store) == (104, 10)
    # what the history had is not counted again
    end(store, "running and known", 10, 50)
    assert stands(store) == (104, 10)


def test_of_two_who_compare_at_once_the_later_one_changes_nothing(store):
    seen = store.account("a", now=NOW).reconciled
    assert store.reconcile("a", seen, 100, set(), MUCH_LATER, now=NOW)
    assert not store.reconcile("a", seen, 50, set(), MUCH_LATER, now=NOW)
    assert stands(store)[0] == 100
    assert store.account("a", now=NOW).reconciled > seen


def test_what_nobody_keeps_is_not_held_after_its_lease(store):
    hold(store, "dead", 10)
    hold(store, "kept", 10)
    hold(store, "ended", 10)
    end(store, "ended", 10, 1)
    store.keep({"a": ["kept", "ended", "never"]}, LATER + 60)
    store.reconcile("a", 0, 0, set(), MUCH_LATER, now=LATER + 1)
    assert stands(store) == (1, 10)


@pytest.mark.django_db
def test_a_hundred_requests_cost_the_database_as_many_statements_as_one(django_assert_num_queries):
    store, limits = DatabaseStore(), KeyLimits(500, 10**6, 10**6, 500, "day", 10**9, 10**9)
    subject = Subject("key", 7)
    meters = meters_of(limits, subject, NOW)
    for meter in meters:
        store.reconcile(meter.counter, 0, 0, set(), meter.lasts, now=NOW)
    for number in (1, 100):
        asks = [Ask(meters, Need(1, 1, 1, 1), f"{number}-{index}", NOW) for index in range(number)]
        # the counters, the holds and last minute's counters, between a savepoint and its release
        with django_assert_num_queries(5):
            counted(store, asks, [], NOW)
        assert all(ask.admitted for ask in asks)


class TestTime:
    """Redis keeps its own clock, so these are for the stores that are given it."""

    @pytest.fixture(params=["memory", pytest.param("database", marks=pytest.mark.django_db)])
    def store(self, request):
        if request.param == "memory":
            return MemoryStore()
        request.getfixturevalue("db")
        return DatabaseStore()

    def test_a_counter_that_is_over_begins_anew(self, store):
        charge(store, ("a", 5))
        changes = Changes(charges=[Charge("a", 1, LATER + 60)])
        assert store.apply(changes, now=LATER)["a"].used == 1

    def test_what_is_over_is_swept(self, store):
        charge(store, ("old", 5))
        store.apply(Changes(charges=[Charge("young", 5, LATER + 60)]), now=NOW)
        store.sweep(now=LATER)
        assert store.apply(Changes(also={"old", "young"}), now=NOW).keys() == {"young"}


STEPS = st.lists(
    st.tuples(st.sampled_from(["hold", "end", "reconcile"]), st.integers(0, 5), st.integers(0, 9)),
    max_size=30,
)


@settings(max_examples=examples(60))
@given(steps=STEPS)
def test_whatever_comes_in_whatever_order_nothing_is_counted_twice_or_lost(steps):
    """Against a plain model: `history` has what was reconciled, each request counts once."""
    store = MemoryStore()
    running, ended, history = {}, {}, {}
    for what, number, amount in steps:
        request = f"r{number}"
        if what == "hold" and request not in {*running, *ended, *history}:
            running[request] = amount
            hold(store, request, amount)
        elif what == "end" and request in running:
            held = running.pop(request)
            ended[request] = amount
            end(store, request, held, amount)
        elif what == "reconcile":
            # the history has all that ended, and also some whose end was not told here
            history |= ended
            seen = store.account("a", now=NOW).reconciled
            store.reconcile("a", seen, sum(history.values()), set(history), MUCH_LATER, now=NOW)
            ended.clear()
        spent = sum(history.values()) + sum(ended.values())
        assert stands(store) == (spent, sum(running.values()))


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite in memory, as in this run, has no concurrent writers"
)
@pytest.mark.django_db(transaction=True)
def test_threads_that_change_the_same_accounts_lose_nothing():
    store = DatabaseStore()

    def change(number: int) -> None:
        for turn in range(20):
            request = f"{number}-{turn}"
            holds = [Hold(account, request, 5, MUCH_LATER, LATER) for account in ("b", "a")]
            store.apply(Changes(charges=[Charge("c", 1, LATER)], holds=holds), now=NOW)
            ends = [End(account, request, 5, 1, MUCH_LATER, MUCH_LATER) for account in ("a", "b")]
            store.apply(Changes(ends=ends), now=NOW)
            seen = store.account("a", now=NOW).reconciled
            store.reconcile("a", seen, 0, set(), MUCH_LATER, now=NOW)
        connection.close()

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stands(store, "a") == stands(store, "b") == (80, 0)
    assert charge(store, ("c", 0))["c"].used == 80


def test_a_redis_that_does_not_answer_is_said_so():
    with pytest.raises(StoreUnavailable):
        charge(RedisStore("redis://127.0.0.1:1/0"), ("a", 1))
