"""Counters in Django's cache, for a cache whose `add` and `incr` are atomic: Redis.

Of Django's backends only Redis and Memcached are; the check gateway.E006 holds that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from django.core.cache import BaseCache

from gateway.limits.stores import Charge, StoreUnavailable

T = TypeVar("T")

_PREFIX: Final = "limit:"
_PLACE: Final = "place:"


class CacheStore:
    """Over one Django cache. A counter that the cache loses is filled from the history again (limiter.py)."""

    local = False

    def __init__(self, cache: BaseCache) -> None:
        self._cache = cache

    def charge(self, charges: Sequence[Charge], also: Iterable[str] = (), *, now: float) -> Mapping[str, int]:
        def charged() -> dict[str, int]:
            totals: dict[str, int] = {}
            for name, amount, expires in charges:
                totals[name] = self._added(_PREFIX + name, amount, _ttl(expires, now))
            names = {_PREFIX + name: name for name in also}
            if names:
                found: Mapping[str, int] = self._cache.get_many(names)
                totals.update({names[key]: value for key, value in found.items()})
            return totals

        return _answered(charged)

    def claim(self, name: str, expires: int, *, now: float) -> bool:
        return _answered(lambda: self._cache.add(_PREFIX + name, 1, _ttl(expires, now)))

    def take(self, places: Sequence[str], holder: str, expires: int, *, now: float) -> str | None:
        def taken() -> str | None:
            keys = {_PLACE + place: place for place in places}
            busy = self._cache.get_many(keys)
            free = (key for key in keys if key not in busy)
            # somebody may have been faster with one of them
            key = next((key for key in free if self._cache.add(key, holder, _ttl(expires, now))), None)
            return None if key is None else keys[key]

        return _answered(taken)

    def keep(self, held: Mapping[str, str], expires: int, *, now: float) -> None:
        def kept() -> None:
            ours = self._cache.get_many([_PLACE + place for place in held])
            for place, holder in held.items():
                if ours.get(_PLACE + place) == holder:
                    self._cache.touch(_PLACE + place, _ttl(expires, now))

        _answered(kept)

    def leave(self, place: str, holder: str) -> None:
        def left() -> None:
            # Between the look and the removal nobody else can take the place: it is not free yet.
            if self._cache.get(_PLACE + place) == holder:
                self._cache.delete(_PLACE + place)

        _answered(left)

    def sweep(self, *, now: float) -> None:
        """The cache does it."""

    def _added(self, key: str, amount: int, ttl: int) -> int:
        if self._cache.add(key, amount, ttl):
            return amount
        try:
            return int(self._cache.incr(key, amount))
        except ValueError:
            # it ended between the two
            self._cache.add(key, amount, ttl)
            return amount


def _ttl(expires: int, now: float) -> int:
    return max(1, int(expires - now) + 1)


def _answered(work: Callable[[], T]) -> T:
    try:
        return work()
    except Exception as problem:  # the client library's errors are many, and its own
        raise StoreUnavailable(str(problem)) from problem
