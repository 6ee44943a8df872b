import threading

import pytest
from django.core.cache import caches
from django.core.cache.backends.redis import RedisCache
from django.db import connection

from gateway.limits.cache_store import CacheStore
from gateway.limits.database_store import DatabaseStore
from gateway.limits.stores import Charge, MemoryStore, StoreUnavailable

NOW = 1_000_000.0
LATER = 1_000_060


@pytest.fixture(params=["memory", "database", "cache", "redis"])
def store(request):
    if request.param == "memory":
        return MemoryStore()
    if request.param == "redis":
        redis = RedisCache(request.getfixturevalue("redis_server").url(), {})
        redis.clear()
        return CacheStore(redis)
    if request.param == "database":
        request.getfixturevalue("db")
        return DatabaseStore()
    caches["default"].clear()
    return CacheStore(caches["default"])


def test_charges_add_up(store):
    assert store.charge([Charge("a", 2, LATER)], now=NOW) == {"a": 2}
    assert store.charge([Charge("a", 3, LATER), Charge("b", 1, LATER)], now=NOW) == {"a": 5, "b": 1}


def test_a_charge_can_be_taken_back(store):
    store.charge([Charge("a", 5, LATER)], now=NOW)
    assert store.charge([Charge("a", -5, LATER)], now=NOW) == {"a": 0}


def test_other_counters_can_be_read_along(store):
    store.charge([Charge("a", 5, LATER)], now=NOW)
    assert store.charge([Charge("b", 1, LATER)], ["a", "never"], now=NOW) == {"a": 5, "b": 1}


def test_only_the_first_claim_is_granted(store):
    assert store.claim("c", LATER, now=NOW)
    assert not store.claim("c", LATER, now=NOW)


def test_places_are_taken_until_none_is_left(store):
    taken = {store.take(["p1", "p2"], holder, LATER, now=NOW) for holder in ("x", "y")}
    assert taken == {"p1", "p2"}
    assert store.take(["p1", "p2"], "z", LATER, now=NOW) is None


def test_a_place_that_was_left_can_be_taken(store):
    store.take(["p1"], "x", LATER, now=NOW)
    store.leave("p1", "x")
    assert store.take(["p1"], "y", LATER, now=NOW) == "p1"


def test_nobody_frees_the_place_of_another(store):
    store.take(["p1"], "x", LATER, now=NOW)
    store.leave("p1", "y")
    assert store.take(["p1"], "z", LATER, now=NOW) is None


class TestTime:
    """Caches keep their own clock, so these are for the stores that are given it."""

    @pytest.fixture(params=["memory", "database"])
    def store(self, request):
        if request.param == "memory":
            return MemoryStore()
        request.getfixturevalue("db")
        return DatabaseStore()

    def test_a_counter_that_is_over_begins_anew(self, store):
        store.charge([Charge("a", 5, LATER)], now=NOW)
        assert store.charge([Charge("a", 1, LATER + 60)], now=LATER) == {"a": 1}

    def test_a_claim_that_is_over_can_be_made_again(self, store):
        store.claim("c", LATER, now=NOW)
        assert store.claim("c", LATER + 60, now=LATER)

    def test_a_place_that_nobody_keeps_becomes_free(self, store):
        store.take(["p1"], "dead", LATER, now=NOW)
        assert store.take(["p1"], "y", LATER + 60, now=LATER) == "p1"

    def test_a_place_that_is_kept_does_not(self, store):
        store.take(["p1"], "x", LATER, now=NOW)
        store.keep({"p1": "x"}, LATER + 60, now=NOW)
        assert store.take(["p1"], "y", LATER + 60, now=LATER) is None

    def test_what_is_over_is_swept(self, store):
        store.charge([Charge("old", 5, LATER), Charge("young", 5, LATER + 60)], now=NOW)
        store.sweep(now=LATER)
        totals = store.charge([], ["old", "young"], now=LATER)
        assert totals.get("old", 0) == 0 and totals["young"] == 5


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite in memory, as in this run, has no concurrent writers"
)
@pytest.mark.django_db(transaction=True)
def test_threads_that_charge_at_the_same_time_lose_nothing():
    store = DatabaseStore()

    def charge() -> None:
        for _ in range(20):
            store.charge([Charge("b", 1, LATER), Charge("a", 1, LATER)], now=NOW)
        connection.close()

    threads = [threading.Thread(target=charge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.charge([], ["a", "b"], now=NOW) == {"a": 80, "b": 80}


def test_a_cache_that_does_not_answer_is_said_so():
    class Away:
        def add(self, *_):
            raise ConnectionError("refused")

    with pytest.raises(StoreUnavailable, match="refused"):
        CacheStore(Away()).claim("c", LATER, now=NOW)
