"""Counters in the database: the same statements on SQLite and PostgreSQL, each atomic by itself.

Counters are written in the order of their names, so that two processes wait for each
other instead of locking each other out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from django.db import Error, connection, transaction

from gateway.limits.stores import Charge, StoreUnavailable
from gateway.models import LimitCounter, LimitPlace

T = TypeVar("T")

_CHARGE: Final = """
INSERT INTO gateway_limitcounter (name, value, expires) VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE SET
    value = CASE WHEN gateway_limitcounter.expires > %s
                 THEN gateway_limitcounter.value + excluded.value ELSE excluded.value END,
    expires = excluded.expires
RETURNING value
"""
_CLAIM: Final = """
INSERT INTO gateway_limitcounter (name, value, expires) VALUES (%s, 1, %s)
ON CONFLICT (name) DO UPDATE SET value = 1, expires = excluded.expires
WHERE gateway_limitcounter.expires <= %s
RETURNING value
"""
_TAKE: Final = """
INSERT INTO gateway_limitplace (name, holder, expires) VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
WHERE gateway_limitplace.expires <= %s
RETURNING name
"""


class DatabaseStore:
    """Used from threads that live long: each keeps its connection."""

    local = False

    def charge(self, charges: Sequence[Charge], also: Iterable[str] = (), *, now: float) -> Mapping[str, int]:
        def charged() -> dict[str, int]:
            totals: dict[str, int] = {}
            with transaction.atomic(), connection.cursor() as cursor:
                for name, amount, expires in sorted(charges):
                    cursor.execute(_CHARGE, [name, amount, expires, int(now)])
                    totals[name] = cursor.fetchone()[0]
            names = list(also)
            if names:
                rows = LimitCounter.objects.filter(pk__in=names, expires__gt=int(now))
                totals.update(rows.values_list("name", "value"))
            return totals

        return _answered(charged)

    def claim(self, name: str, expires: int, *, now: float) -> bool:
        return _answered(lambda: _one(_CLAIM, [name, expires, int(now)]) is not None)

    def take(self, places: Sequence[str], holder: str, expires: int, *, now: float) -> str | None:
        def taken() -> str | None:
            busy = set(
                LimitPlace.objects.filter(pk__in=places, expires__gt=int(now)).values_list("name", flat=True)
            )
            free = (place for place in places if place not in busy)
            # somebody may have been faster with one of them
            return next((place for place in free if _one(_TAKE, [place, holder, expires, int(now)])), None)

        return _answered(taken)

    def keep(self, held: Mapping[str, str], expires: int, *, now: float) -> None:
        def kept() -> None:
            with transaction.atomic():
                for place, holder in sorted(held.items()):
                    LimitPlace.objects.filter(pk=place, holder=holder).update(expires=expires)

        _answered(kept)

    def leave(self, place: str, holder: str) -> None:
        _answered(LimitPlace.objects.filter(pk=place, holder=holder).delete)

    def sweep(self, *, now: float) -> None:
        def swept() -> None:
            LimitCounter.objects.filter(expires__lte=int(now)).delete()
            LimitPlace.objects.filter(expires__lte=int(now)).delete()

        _answered(swept)


def _one(statement: str, values: Sequence[Any]) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()


def _answered(work: Callable[[], T]) -> T:
    """Run `work`. The thread keeps its connection, until that fails."""
    try:
        return work()
    except Error as problem:
        connection.close()
        raise StoreUnavailable(str(problem)) from problem
