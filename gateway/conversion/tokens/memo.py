"""Numbers remembered by what they were computed from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_Hashable = TypeVar("_Hashable", str, bytes)


class Memo:
    """A bounded memory of a pure function, in two generations.

    When the young generation is full the old one is forgotten, so a number
    which is asked for again and again stays. Keys are hashes: no text of a client
    is held, `most` entries take about 100 bytes each, and a hit costs one pass
    over the value. Two values with the same 64-bit hash would share a number,
    which does no harm in an estimate.
    """

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def number(self, value: _Hashable, compute: Callable[[_Hashable], int]) -> int:
        """`compute(value)`, at most once for a while."""
        key = hash(value)
        known = self._young.get(key)
        if known is not None:
            return known
        known = self._old.get(key)
        if known is None:
            known = compute(value)
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = known
        return known

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
