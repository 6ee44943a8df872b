"""The sweep of idle connections beside exchanges that are under way."""

import asyncio

from gateway.upstream.http1.connection import ConnectionOrigin
from gateway.upstream.http1.pool import IdlePool

HERE, THERE = ConnectionOrigin("http", "here", 80), ConnectionOrigin("https", "there", 443)


class Connection:
    def __init__(self, pool, origin) -> None:
        self.origin = origin
        self.usable = True
        self.closed = asyncio.Event()
        self._pool = pool
        pool.add(self)

    def abort(self):
        if self.usable:
            self.usable = False
            self.closed.set()
            self._pool.lost(self)


async def test_a_sweep_while_the_only_connection_is_busy_leaves_it_alone():
    pool = IdlePool(expiry=30.0)
    connection = Connection(pool, HERE)
    pool.idle(connection)
    assert pool.take(HERE) is connection
    pool._sweep()
    assert connection.usable
    assert len(pool) == 1
    assert pool._timer is None


async def test_old_connections_are_closed_while_those_of_another_origin_are_busy():
    pool = IdlePool(expiry=0.02)
    busy, old = Connection(pool, HERE), Connection(pool, THERE)
    pool.idle(busy)
    pool.idle(old)
    assert pool.take(HERE) is busy
    async with asyncio.timeout(5):
        await old.closed.wait()
    assert busy.usable
    pool.idle(busy)
    async with asyncio.timeout(5):
        await busy.closed.wait()
    assert len(pool) == 0
