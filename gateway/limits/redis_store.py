"""Counters in Redis: each call of the limiter is one transaction and one round trip."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, WatchError
from redis.retry import Retry

from gateway.limits.meters import CounterStanding
from gateway.limits.stores import Account, Changes, Row, StoreUnavailable, folded, stamp

T = TypeVar("T")

_PREFIX: Final = "ccproxy:limits:"
# seconds; a server that takes longer counts as unavailable
_TIMEOUT: Final = 5.0
_TRIES: Final = 5
_RUNNING: Final = "r"
_ENDED: Final = "e"
# KEYS: counter, rows; ARGV: request, what is added to held, used, expires
_END: Final = """
local row = redis.call('HGET', KEYS[2], ARGV[1])
if not row or string.sub(row, 1, 1) ~= 'r' then return 0 end
redis.call('HINCRBY', KEYS[1], 'held', ARGV[2])
if ARGV[3] == '0' then
    redis.call('HDEL', KEYS[2], ARGV[1])
else
    redis.call('HINCRBY', KEYS[1], 'value', ARGV[3])
    redis.call('HSET', KEYS[2], ARGV[1], 'e:' .. ARGV[3] .. ':' .. ARGV[4])
end
return 1
"""
# KEYS: rows; ARGV: expires, requests
_KEEP: Final = """
for index = 2, #ARGV do
    local row = redis.call('HGET', KEYS[1], ARGV[index])
    if row and string.sub(row, 1, 1) == 'r' then
        redis.call('HSET', KEYS[1], ARGV[index], string.match(row, '^r:%d+:') .. ARGV[1])
    end
end
"""


class RedisStore:
    """`url` in the form of REDIS_URL. What Redis loses is computed again from the history
    (reconciling.py).
    """

    local = False

    def __init__(self, url: str) -> None:
        # a charge that is sent twice counts twice, so nothing is retried
        self._redis: Any = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )

    def apply(self, changes: Changes, *, now: float) -> Mapping[str, CounterStanding]:
        added = Changes(changes.charges, changes.holds).sums()
        names = sorted({*added, *changes.also, *(end.account for end in changes.ends)})

        def applied() -> dict[str, CounterStanding]:
            pipe = self._redis.pipeline(transaction=True)
            for end in changes.ends:
                keys = _counter(end.account), _rows(end.account)
                pipe.eval(_END, 2, *keys, end.request, -end.held, end.used, end.expires)
            for name, (used, held, lasts) in added.items():
                if used:
                    pipe.hincrby(_counter(name), "value", used)
                if held:
                    pipe.hincrby(_counter(name), "held", held)
                pipe.expireat(_counter(name), lasts)
            for hold in changes.holds:
                value = f"{_RUNNING}:{hold.amount}:{hold.expires}"
                pipe.hset(_rows(hold.account), hold.request, value)
                pipe.expireat(_rows(hold.account), hold.lasts)
            for name in names:
                pipe.hmget(_counter(name), "value", "held", "reconciled")
            found = pipe.execute()[-len(names) :] if names else []
            return {
                name: CounterStanding(*(int(value or 0) for value in values))
                for name, values in zip(names, found, strict=True)
                if any(value is not None for value in values)
            }

        return _answered(applied)

    def account(self, name: str, *, now: float) -> Account:
        def read() -> Account:
            pipe = self._redis.pipeline(transaction=True)
            pipe.hget(_counter(name), "reconciled")
            pipe.hgetall(_rows(name))
            reconciled, rows = pipe.execute()
            return Account(int(reconciled or 0), [_row(*item) for item in rows.items()])

        return _answered(read)

    def reconcile(
        self, name: str, seen: int, spent: int, known: Collection[str], lasts: int, *, now: float
    ) -> bool:
        def once() -> bool:
            pipe = self._redis.pipeline(transaction=True)
            pipe.watch(_counter(name), _rows(name))
            if int(pipe.hget(_counter(name), "reconciled") or 0) != seen:
                pipe.reset()
                return False
            rows = [_row(*item) for item in pipe.hgetall(_rows(name)).items()]
            fold = folded(rows, spent, known, now)
            pipe.multi()
            made = {"value": fold.used, "held": fold.held, "reconciled": stamp(seen, now)}
            pipe.hset(_counter(name), mapping=made)
            pipe.expireat(_counter(name), lasts)
            if fold.gone:
                pipe.hdel(_rows(name), *fold.gone)
            pipe.execute()
            return True

        def reconciled() -> bool:
            for _ in range(_TRIES):
                try:
                    return once()
                except WatchError:
                    # a request began or ended in between
                    continue
            return False

        return _answered(reconciled)

    def keep(self, held: Mapping[str, Sequence[str]], expires: int) -> None:
        def kept() -> None:
            for account, requests in held.items():
                self._redis.eval(_KEEP, 1, _rows(account), expires, *requests)

        _answered(kept)

    def sweep(self, *, now: float) -> None:
        """Nothing to do: Redis expires its keys."""


def _counter(name: str) -> str:
    return f"{_PREFIX}{name}"


def _rows(account: str) -> str:
    return f"{_PREFIX}rows:{account}"


def _row(request: str, value: str) -> Row:
    state, amount, expires = value.split(":")
    return Row(request, int(amount), state == _ENDED, int(expires))


def _answered(work: Callable[[], T]) -> T:
    try:
        return work()
    except (RedisError, OSError) as problem:
        raise StoreUnavailable(str(problem)) from problem
