"""Idle connections: last in, first out; bounded; not for ever."""

import pytest

from gateway.upstream.http1.connection import ConnectionOrigin
from gateway.upstream.http1.pool import IdlePool
from tests.upstream.sockets import settled

HERE, THERE = ConnectionOrigin("http", "here", 80), ConnectionOrigin("https", "there", 443)


class Connection:
    def __init__(self, pool, origin=HERE) -> None:
        self.origin = origin
        self.usable = True
        self._pool = pool
        pool.add(self)

    def abort(self):
        if self.usable:
            self.usable = False
            self._pool.lost(self)


@pytest.fixture
async def pool():
    made = IdlePool(limit=3, expiry=30.0)
    yield made
    made.close()


async def test_the_last_one_returned_is_the_first_one_taken(pool):
    first, second = Connection(pool), Connection(pool)
    pool.idle(first)
    pool.idle(second)
    assert [pool.take(HERE), pool.take(HERE), pool.take(HERE)] == [second, first, None]


async def test_origins_do_not_share(pool):
    pool.idle(Connection(pool))
    assert pool.take(THERE) is None


async def test_the_oldest_goes_when_there_are_too_many(pool):
    connections = [Connection(pool) for _ in range(4)]
    for connection in connections:
        pool.idle(connection)
    assert [connection.usable for connection in connections] == [False, True, True, True]
    assert len(pool) == 3


async def test_one_that_was_lost_is_not_taken(pool):
    first, second = Connection(pool), Connection(pool)
    pool.idle(first)
    pool.idle(second)
    second.abort()
    assert pool.take(HERE) is first


async def test_one_that_is_closing_is_not_taken(pool):
    connection = Connection(pool)
    pool.idle(connection)
    connection.usable = False
    assert pool.take(HERE) is None


async def test_old_ones_are_closed_without_being_asked_for():
    pool = IdlePool(limit=3, expiry=0.02)
    old, other = Connection(pool), Connection(pool, THERE)
    pool.idle(old)
    pool.idle(other)
    await settled(lambda: len(pool) == 0)
    assert not old.usable
    assert not other.usable
    assert pool._timer is None
    assert not pool._idle


async def test_closing_closes_busy_ones_too(pool):
    busy, idle = Connection(pool), Connection(pool)
    pool.idle(idle)
    pool.close()
    assert not busy.usable
    assert not idle.usable
