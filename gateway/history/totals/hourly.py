"""The hourly totals, kept consistent with the rows: each exchange counts once, as its row says in the end.

The recorder may write an exchange several times: when it begins and ends, after the spool was read back,
when a restart is noticed. So whoever changes rows first locks and reads what they counted (`before`), and
after the change counts that off and the new facts on (`put`), in one transaction. A row that is removed
stays counted.

Two processes never deadlock: locks on request ids, rows, then totals are taken in this order, and each
kind in sorted order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from operator import itemgetter
from typing import Final

from django.db import connection, transaction
from django.db.models import Max

from gateway.history.statements import Statement, among
from gateway.history.totals.contributions import HOUR, Contribution, Tallies, hour_of
from gateway.models import (
    DailyOrigin,
    DailyTotal,
    Erasure,
    HourlyLedger,
    HourlyOrigin,
    HourlyTotal,
    PurgeRun,
    RequestLog,
)

# values in one IN (...)
AT_ONCE: Final = 500
# namespace of our advisory locks on request ids
_LOCKS: Final = 0x63637072
_LOCK: Final = """
SELECT pg_advisory_xact_lock(%s, key) FROM (
    SELECT DISTINCT hashtext(id) AS key FROM unnest(%s::text[]) AS id ORDER BY key
) AS keys
"""


def _add_up(table: str, slot: tuple[str, ...], numbers: tuple[str, ...]) -> Statement:
    columns = ", ".join((*slot, *numbers))
    places = ", ".join(["%s"] * (len(slot) + len(numbers)))
    sums = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in numbers)
    return Statement(
        f"INSERT INTO {table} ({columns}) VALUES ({places}) "  # noqa: S608 (our columns)
        f"ON CONFLICT ({', '.join(slot)}) DO UPDATE SET {sums}"
    )


_ADD, _ADD_DAY = (
    _add_up(table._meta.db_table, table.SLOT, table.NUMBERS) for table in (HourlyTotal, DailyTotal)
)
_ADD_ORIGINS: Final = {
    table: _add_up(table._meta.db_table, table.SLOT, table.NUMBERS) for table in (HourlyOrigin, DailyOrigin)
}
_ADD_LEDGER: Final = _add_up(HourlyLedger._meta.db_table, HourlyLedger.SLOT, ("entries",))


_OF_ROW: Final = itemgetter(*Contribution._fields)
_ENDED: Final = "SELECT request_id FROM gateway_requestlog WHERE request_id IN ({places}) AND state <> 'open'"


def before(request_ids: Iterable[str]) -> dict[str, Contribution]:
    """What the rows of these exchanges counted so far, by request id; nobody else changes them now.

    Open ones counted nothing and are left out. Inside the caller's transaction, before its first change.
    """
    ids = sorted(request_ids)
    hold(ids)
    return _counted(ids)


def hold(request_ids: Iterable[str]) -> None:
    """Keep others from changing the rows of these exchanges until the caller's transaction ends.

    Does nothing on SQLite, where no one else can write.
    """
    ids = sorted(request_ids)
    if connection.vendor == "postgresql" and ids:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, [_LOCKS, ids])


def counted(row: Mapping[str, object]) -> Contribution:
    """The counted part of a row of RequestLog that is about to be written, by column."""
    return Contribution._make(_OF_ROW(row))


def put(old: Mapping[str, Contribution], new: Iterable[Contribution]) -> None:
    """Count off what `before` found and count on what the rows say now; at the end of the transaction."""
    tallies = Tallies()
    for facts in new:
        former = old.get(facts.request_id)
        if former != facts:
            if former is not None:
                tallies.add(former, -1)
            tallies.add(facts)
    add(tallies)


@contextmanager
def following(request_ids: Iterable[str]) -> Iterator[None]:
    """A transaction in which the rows of these exchanges change, and the totals with them.

    For changes in SQL, where nobody has the new facts at hand.
    """
    ids = list(request_ids)
    with transaction.atomic():
        old = before(ids)
        yield
        put(old, _counted(ids).values())


def rebuild(first: int, last: int) -> int:
    """Recompute the totals of the hours `first` to `last` (both inclusive, since 1970) from the rows.

    Rows that are gone count no more, so ask only for hours of which all rows are kept. One hour is one
    transaction. Returns how many exchanges were counted.
    """
    return sum(_rebuild_hour(hour) for hour in sorted(_hours_of_something(first, last)))


def _hours_of_something(first: int, last: int) -> set[int]:
    """The hours that have totals or rows: a history of years has many empty nights."""
    hours: set[int] = set()
    for table in (HourlyTotal, HourlyLedger):
        within = table.objects.order_by().filter(hour__gte=first, hour__lte=last)
        hours.update(within.values_list("hour", flat=True).distinct())
    starts = RequestLog.objects.order_by("started_at").values_list("started_at", flat=True)
    hour = first
    # from one hour to the next with the index, skipping the rows in between
    while (start := starts.filter(started_at__gte=moment(hour)).first()) and hour_of(start) <= last:
        hours.add(hour_of(start))
        hour = hour_of(start) + 1
    return hours


def _rebuild_hour(hour: int) -> int:
    counted = 0
    with transaction.atomic():
        if connection.vendor == "postgresql":
            # waits for those who have counted, and blocks those who have changed rows and will count
            with connection.cursor() as cursor:
                for table in (HourlyTotal, DailyTotal, HourlyOrigin, DailyOrigin, HourlyLedger):
                    cursor.execute(f"LOCK TABLE {table._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")
        tallies = Tallies()
        tallies.take_off(
            HourlyTotal.objects.filter(hour=hour).values_list(*HourlyTotal.SLOT, *HourlyTotal.NUMBERS),
            HourlyLedger.objects.filter(hour=hour).values_list(*HourlyLedger.SLOT, "entries"),
            HourlyOrigin.objects.filter(hour=hour).values_list(*HourlyOrigin.SLOT, *HourlyOrigin.NUMBERS),
        )
        for facts in _rows_of(hour):
            tallies.add(facts)
            counted += 1
        add(tallies)
    return counted


def _rows_of(hour: int) -> Iterator[Contribution]:
    start = moment(hour)
    rows = RequestLog.objects.order_by().filter(started_at__gte=start, started_at__lt=moment(hour + 1))
    for values in rows.values_list(*Contribution._fields).iterator(chunk_size=2000):
        yield Contribution._make(values)


def moment(hour: int) -> datetime:
    """The time when an hour begins."""
    return datetime.fromtimestamp(hour * HOUR, UTC)


def first_whole_hour(oldest: datetime, *, since_erasures: bool = True) -> int:
    """The first hour of which all rows are kept, when `oldest` is the start of the oldest row.

    That row alone does not say it: a hold keeps rows that a purge removed others from before and after, and
    an erasure removes rows of any time before it. `since_erasures` False: erased rows do not matter.
    """
    removed = [oldest, PurgeRun.objects.aggregate(limit=Max("rows_before"))["limit"]]
    if since_erasures:
        removed.append(Erasure.objects.aggregate(last=Max("changed_at"))["last"])
    return hour_of(max(limit for limit in removed if limit is not None)) + 1


def _counted(ids: list[str]) -> dict[str, Contribution]:
    found: dict[str, Contribution] = {}
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        # plain SQL, because building the query would take most of the time
        ended = [request_id for (request_id,) in among(_ENDED, len(some)).rows(some)]
        if not ended:
            # nearly always: most exchanges end once
            continue
        rows = RequestLog.objects.order_by().filter(request_id__in=ended)
        found.update(
            (values[0], Contribution._make(values)) for values in rows.values_list(*Contribution._fields)
        )
    return found


def add_origins(table: type[HourlyOrigin | DailyOrigin], sums: Iterable[Sequence[str | int]]) -> None:
    """Add (*OriginTotal.SLOT, *OriginTotal.NUMBERS) to a table, in the caller's transaction."""
    _ADD_ORIGINS[table].many(list(sums))


def add(tallies: Tallies) -> None:
    """Add sums to the totals, in the caller's transaction."""
    totals = tallies.totals()
    _ADD.many(totals)
    if totals:
        _ADD_DAY.many(tallies.days())
    origins = tallies.origins()
    if origins:
        add_origins(HourlyOrigin, origins)
        add_origins(DailyOrigin, tallies.origin_days())
    _ADD_LEDGER.many(tallies.ledger())
