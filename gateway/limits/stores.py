"""Where counters are kept: what a store must do, and the one in memory.

A counter of a rate is a number. A counter of a budget, or of concurrent requests, is an account:
the amount `used`, and the amount `held` by running requests. For each hold the store also keeps a
row, even after its request ended, until the history is known to include that request. An account
can therefore be computed again at any time, from the history and the rows.

Names are text, amounts whole numbers, times Unix seconds. A store's calls block and raise
StoreUnavailable; the limiter makes them outside the event loop (`local` stores' calls inside it).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gateway.limits.meters import CounterStanding


class StoreUnavailable(Exception):
    """The store does not answer; whether it did anything is unknown."""


class Charge(NamedTuple):
    """Add `amount` to the counter `name` of a rate, which is valid until `lasts`."""

    name: str
    amount: int
    lasts: int


class Hold(NamedTuple):
    """A request begins to hold `amount` of an account, until `expires` unless it is kept alive."""

    account: str
    request: str
    amount: int
    lasts: int
    expires: int


class End(NamedTuple):
    """A request that held `held` of an account has ended and used `used` of it.

    No effect when its hold is gone: the history already had it, or its lease ran out.
    """

    account: str
    request: str
    held: int
    used: int
    lasts: int
    expires: int


@dataclass(slots=True)
class Changes:
    """What a store does in one step. `also`: further counters whose values are wanted."""

    charges: list[Charge] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    also: set[str] = field(default_factory=set)

    def sums(self) -> dict[str, tuple[int, int, int]]:
        """(used, held, lasts) to add to each counter, provided the hold of each end still exists."""
        sums: dict[str, tuple[int, int, int]] = {}

        def add(name: str, used: int, held: int, lasts: int) -> None:
            before = sums.get(name, (0, 0, 0))
            sums[name] = (before[0] + used, before[1] + held, max(before[2], lasts))

        for charge in self.charges:
            add(charge.name, charge.amount, 0, charge.lasts)
        for hold in self.holds:
            add(hold.account, 0, hold.amount, hold.lasts)
        for end in self.ends:
            add(end.account, end.used, -end.held, end.lasts)
        return sums


class Row(NamedTuple):
    """A request at an account: it holds `amount`, or has used it and `ended`."""

    request: str
    amount: int
    ended: bool
    expires: int


class Account(NamedTuple):
    """An account as read for reconciling."""

    reconciled: int
    rows: Sequence[Row]


class Fold(NamedTuple):
    """An account computed again: its values without `gone`, the requests whose rows are removed."""

    used: int
    held: int
    gone: tuple[str, ...]


def folded(rows: Iterable[Row], spent: int, known: Collection[str], now: float) -> Fold:
    """From what the history says was `spent`, which includes the requests `known`."""
    used, held, gone = spent, 0, []
    for row in rows:
        if row.request in known or row.expires <= now:
            gone.append(row.request)
        elif row.ended:
            used += row.amount
        else:
            held += row.amount
    return Fold(used, held, tuple(gone))


class Store(Protocol):
    """Counters, shared by all processes that use the same store."""

    # does not block, so it needs no thread
    local: bool

    def apply(self, changes: Changes, *, now: float) -> Mapping[str, CounterStanding]:
        """Do all of it or nothing. Returns the new values of the changed counters, and the values of
        `also`.
        """
        ...

    def account(self, name: str, *, now: float) -> Account:
        """An account and its rows."""
        ...

    def reconcile(
        self, name: str, seen: int, spent: int, known: Collection[str], lasts: int, *, now: float
    ) -> bool:
        """Store an account computed again (`folded`); False when another process reconciled it after
        `seen`.
        """
        ...

    def keep(self, held: Mapping[str, Sequence[str]], expires: int) -> None:
        """Extend the holds of requests (by account) until `expires`."""
        ...

    def sweep(self, *, now: float) -> None:
        """Remove what has expired."""
        ...


def stamp(seen: int, now: float) -> int:
    """The new value of `reconciled`: milliseconds, and never a value that was there before."""
    return max(int(now * 1000), seen + 1)


class MemoryStore:
    """For one process; its counters end with it."""

    local = True

    def __init__(self) -> None:
        self._counters: dict[str, tuple[CounterStanding, int]] = {}
        self._rows: dict[str, dict[str, Row]] = {}
        self._lock = threading.Lock()

    def apply(self, changes: Changes, *, now: float) -> Mapping[str, CounterStanding]:
        with self._lock:
            there = [end for end in changes.ends if self._end(end)]
            sums = Changes(changes.charges, changes.holds, there).sums()
            for name, (used, held, lasts) in sums.items():
                before = self._standing(name, now)
                after = CounterStanding(before.used + used, before.held + held, before.reconciled)
                self._counters[name] = (after, lasts)
            for hold in changes.holds:
                rows = self._rows.setdefault(hold.account, {})
                rows[hold.request] = Row(hold.request, hold.amount, False, hold.expires)
            names = {*sums, *changes.also}
            return {name: self._standing(name, now) for name in names if name in self._counters}

    def account(self, name: str, *, now: float) -> Account:
        with self._lock:
            return Account(self._standing(name, now).reconciled, list(self._rows.get(name, {}).values()))

    def reconcile(
        self, name: str, seen: int, spent: int, known: Collection[str], lasts: int, *, now: float
    ) -> bool:
        with self._lock:
            if self._standing(name, now).reconciled != seen:
                return False
            rows = self._rows.get(name, {})
            fold = folded(rows.values(), spent, known, now)
            for request in fold.gone:
                del rows[request]
            self._counters[name] = (CounterStanding(fold.used, fold.held, stamp(seen, now)), lasts)
            return True

    def keep(self, held: Mapping[str, Sequence[str]], expires: int) -> None:
        with self._lock:
            for account, requests in held.items():
                rows = self._rows.get(account, {})
                for request in requests:
                    if request in rows and not rows[request].ended:
                        rows[request] = rows[request]._replace(expires=expires)

    def sweep(self, *, now: float) -> None:
        with self._lock:
            self._counters = {name: kept for name, kept in self._counters.items() if kept[1] > now}
            self._rows = {name: rows for name, rows in self._rows.items() if rows and name in self._counters}

    def _end(self, end: End) -> bool:
        """Whether its hold existed; it is removed."""
        rows = self._rows.get(end.account, {})
        row = rows.get(end.request)
        if row is None or row.ended:
            return False
        if end.used:
            rows[end.request] = Row(end.request, end.used, True, end.expires)
        else:
            del rows[end.request]
        return True

    def _standing(self, name: str, now: float) -> CounterStanding:
        standing, lasts = self._counters.get(name, (CounterStanding(), 0))
        return standing if lasts > now else CounterStanding()
