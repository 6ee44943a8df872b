"""Where counters are kept: what a store must do, and the one in memory.

Names are texts, amounts whole numbers, times Unix seconds. A store's calls block and
raise StoreUnavailable; the limiter makes them beside the event loop (`local` ones in it).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol


class StoreUnavailable(Exception):
    """The store does not answer; nothing is known of what it did."""


class Charge(NamedTuple):
    """`amount` onto the counter `name`, which means something until `expires`."""

    name: str
    amount: int
    expires: int


class Store(Protocol):
    """Counters and places, shared by all processes that use the same store."""

    # does not block, so that no thread is needed
    local: bool

    def charge(self, charges: Sequence[Charge], also: Iterable[str] = (), *, now: float) -> Mapping[str, int]:
        """Add all charges at once; the counters' values afterwards, and those of the names in `also`."""
        ...

    def claim(self, name: str, expires: int, *, now: float) -> bool:
        """True for the one caller who is the first to claim `name` (until `expires`)."""
        ...

    def take(self, places: Sequence[str], holder: str, expires: int, *, now: float) -> str | None:
        """The first free one of `places`, taken for `holder` until `expires`; None when all are taken."""
        ...

    def keep(self, held: Mapping[str, str], expires: int, *, now: float) -> None:
        """Hold places (place -> holder) until `expires`."""
        ...

    def leave(self, place: str, holder: str) -> None:
        """Free a place, if `holder` still has it."""
        ...

    def sweep(self, *, now: float) -> None:
        """Forget what is over."""
        ...


class MemoryStore:
    """For one process that need not remember: counters end with it."""

    local = True

    def __init__(self) -> None:
        self._counters: dict[str, tuple[int, int]] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self._lock = threading.Lock()

    def charge(self, charges: Sequence[Charge], also: Iterable[str] = (), *, now: float) -> Mapping[str, int]:
        with self._lock:
            for name, amount, expires in charges:
                self._counters[name] = (self._value(name, now) + amount, expires)
            names = [*(charge.name for charge in charges), *also]
            return {name: self._value(name, now) for name in names if name in self._counters}

    def claim(self, name: str, expires: int, *, now: float) -> bool:
        with self._lock:
            if self._value(name, now):
                return False
            self._counters[name] = (1, expires)
            return True

    def take(self, places: Sequence[str], holder: str, expires: int, *, now: float) -> str | None:
        with self._lock:
            for place in places:
                if place not in self._places or self._places[place][1] <= now:
                    self._places[place] = (holder, expires)
                    return place
        return None

    def keep(self, held: Mapping[str, str], expires: int, *, now: float) -> None:
        with self._lock:
            for place, holder in held.items():
                if self._places.get(place, ("",))[0] == holder:
                    self._places[place] = (holder, expires)

    def leave(self, place: str, holder: str) -> None:
        with self._lock:
            if self._places.get(place, ("",))[0] == holder:
                del self._places[place]

    def sweep(self, *, now: float) -> None:
        with self._lock:
            self._counters = {name: kept for name, kept in self._counters.items() if kept[1] > now}
            self._places = {name: kept for name, kept in self._places.items() if kept[1] > now}

    def _value(self, name: str, now: float) -> int:
        value, expires = self._counters.get(name, (0, 0))
        return value if expires > now else 0
