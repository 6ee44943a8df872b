"""Counters in the database: the same statements on SQLite and PostgreSQL.

Counters are written first, in the order of their names, then the rows of their requests, so two
processes wait for each other instead of deadlocking.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from django.db import Error, connection, transaction

from gateway.limits.meters import CounterStanding
from gateway.limits.stores import Account, Changes, End, Row, StoreUnavailable, folded, stamp
from gateway.models import LimitCounter, LimitHold

T = TypeVar("T")

_ADD: Final = """
INSERT INTO gateway_limitcounter (name, value, held, reconciled, expires) VALUES {places}
ON CONFLICT (name) DO UPDATE SET
    value = excluded.value
        + CASE WHEN gateway_limitcounter.expires > %s THEN gateway_limitcounter.value ELSE 0 END,
    held = excluded.held
        + CASE WHEN gateway_limitcounter.expires > %s THEN gateway_limitcounter.held ELSE 0 END,
    reconciled = CASE WHEN gateway_limitcounter.expires > %s THEN gateway_limitcounter.reconciled ELSE 0 END,
    expires = excluded.expires
RETURNING name, value, held, reconciled
"""
_HOLD: Final = """
INSERT INTO gateway_limithold (account, request, amount, ended, expires) VALUES {places}
ON CONFLICT (account, request) DO NOTHING
"""
# a list of values has the names column1, column2, ... on both databases
_END: Final = """
UPDATE gateway_limithold SET ended = TRUE, amount = ends.column3, expires = ends.column4
FROM (VALUES {places}) AS ends
WHERE account = ends.column1 AND request = ends.column2 AND NOT ended
RETURNING account, request
"""
_DROP: Final = """
DELETE FROM gateway_limithold WHERE NOT ended AND (account, request) IN (VALUES {places})
RETURNING account, request
"""


class DatabaseStore:
    """Used from long-lived threads; each keeps its connection."""

    local = False

    def apply(self, changes: Changes, *, now: float) -> Mapping[str, CounterStanding]:
        def applied() -> dict[str, CounterStanding]:
            with transaction.atomic():
                standings = _added(changes.sums(), now)
                gone = _ended(changes.ends)
                if gone:
                    # what the history already had is not counted again
                    off = {name: (-used, -held, lasts) for name, (used, held, lasts) in gone.items()}
                    standings.update(_added(off, now))
                holds = [
                    (hold.account, hold.request, hold.amount, False, hold.expires) for hold in changes.holds
                ]
                _run(_HOLD, holds)
                if changes.also:
                    rows = LimitCounter.objects.filter(pk__in=changes.also, expires__gt=int(now))
                    standings.update(
                        (name, CounterStanding(value)) for name, value in rows.values_list("name", "value")
                    )
            return standings

        return _answered(applied)

    def account(self, name: str, *, now: float) -> Account:
        def read() -> Account:
            reconciled = LimitCounter.objects.filter(pk=name, expires__gt=int(now)).values_list("reconciled")
            rows = LimitHold.objects.filter(account=name).values_list(*Row._fields)
            return Account(next((value for (value,) in reconciled), 0), [Row._make(row) for row in rows])

        return _answered(read)

    def reconcile(
        self, name: str, seen: int, spent: int, known: Collection[str], lasts: int, *, now: float
    ) -> bool:
        def reconciled() -> bool:
            with transaction.atomic():
                # creates the counter if there is none, and locks it until the transaction ends
                if _added({name: (0, 0, lasts)}, now)[name].reconciled != seen:
                    return False
                rows = [
                    Row._make(row) for row in LimitHold.objects.filter(account=name).values_list(*Row._fields)
                ]
                fold = folded(rows, spent, known, now)
                if fold.gone:
                    LimitHold.objects.filter(account=name, request__in=fold.gone).delete()
                LimitCounter.objects.filter(pk=name).update(
                    value=fold.used, held=fold.held, reconciled=stamp(seen, now)
                )
            return True

        return _answered(reconciled)

    def keep(self, held: Mapping[str, Sequence[str]], expires: int) -> None:
        def kept() -> None:
            for account, requests in sorted(held.items()):
                rows = LimitHold.objects.filter(account=account, request__in=requests, ended=False)
                rows.update(expires=expires)

        _answered(kept)

    def sweep(self, *, now: float) -> None:
        def swept() -> None:
            LimitCounter.objects.filter(expires__lte=int(now)).delete()
            # rows go when their account is reconciled; these belong to accounts that are no longer used
            left = LimitHold.objects.filter(expires__lte=int(now) - _LONG_OVER)
            left.delete()

        _answered(swept)


# seconds after which no row is needed
_LONG_OVER: Final = 32 * 86_400


def _added(sums: Mapping[str, tuple[int, int, int]], now: float) -> dict[str, CounterStanding]:
    rows = [(name, used, held, 0, lasts) for name, (used, held, lasts) in sorted(sums.items())]
    return {name: CounterStanding(*values) for name, *values in _run(_ADD, rows, [int(now)] * 3)}


def _ended(ends: Sequence[End]) -> dict[str, tuple[int, int, int]]:
    """Write the ends; returns the sums of those whose holds still existed."""
    if not ends:
        return {}
    used = [(end.account, end.request, end.used, end.expires) for end in ends if end.used]
    nothing = [(end.account, end.request) for end in ends if not end.used]
    there = {*map(tuple, _run(_END, used)), *map(tuple, _run(_DROP, nothing))}
    gone = [end for end in ends if (end.account, end.request) not in there]
    return Changes(ends=gone).sums()


def _run(statement: str, rows: Sequence[tuple[Any, ...]], further: Sequence[Any] = ()) -> list[Any]:
    """Run it with a place for each row; what it returns. Nothing for no rows."""
    if not rows:
        return []
    places = ", ".join(["(" + ", ".join(["%s"] * len(rows[0])) + ")"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(statement.format(places=places), [*(value for row in rows for value in row), *further])
        return cursor.fetchall() if cursor.description else []


def _answered(work: Callable[[], T]) -> T:
    """Run `work`. The thread keeps its connection, until that fails."""
    try:
        return work()
    except Error as problem:
        connection.close()
        raise StoreUnavailable(str(problem)) from problem
