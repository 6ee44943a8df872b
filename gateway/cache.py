"""GenerationalCache: the one bounded memory of everything that is worked out once and asked for again.

Entries live in two generations. New ones go into the young one; when that is full it becomes the old
one, and what was old is forgotten. A hit in the old generation moves the entry to the young one, so what
is asked for again and again stays. That is nearly what LRU keeps, at the price of a dictionary look-up,
without a list of uses that each hit would have to change.

No lock: threads may share a cache. Each step is one operation of a dictionary, and nothing is iterated
over. Two threads that race may compute a value twice, forget a generation early, or count the size of an
entry twice until the next generation; they never get the value of another key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _one(_: Any) -> int:
    return 1


class GenerationalCache(Generic[K, V]):
    """At most `most` in both generations together, in the unit of `size_of`; without it, entries.

    Values are never None. `size_of` must give the same for a value each time. A value larger than half of
    `most` is not kept.
    """

    __slots__ = ("_half", "_old", "_size", "_size_of", "_young")

    def __init__(self, most: int, size_of: Callable[[V], int] = _one) -> None:
        self._half = most // 2
        self._size_of = size_of
        self._size = 0
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value, which stays for another generation; None when there is none."""
        found = self._young.get(key)
        if found is None:
            found = self._old.pop(key, None)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Keep a value, in the place of an earlier one."""
        self._old.pop(key, None)
        before = self._young.pop(key, None)
        if before is not None:
            self._size -= self._size_of(before)
        size = self._size_of(value)
        if size > self._half:
            return
        if self._size + size > self._half:
            self._old, self._young, self._size = self._young, {}, 0
        self._size += size
        self._young[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self._old, self._young, self._size = {}, {}, 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
