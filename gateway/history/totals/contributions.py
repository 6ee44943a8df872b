"""What an exchange adds to the hourly totals (pure).

`slot_and_numbers` says where an ended exchange counts, and what. Tallies add such facts up, or take them
off again, because a row that is replaced is counted off.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeVar

from gateway.client_protocol.purpose import counted_as
from gateway.conversion.repairs import counted_under
from gateway.history.outcome import OPEN
from gateway.history.totals.costs import CHARGED
from gateway.models.history.hourly_total import (
    BUCKETS,
    COST_UNIT,
    FIRST_BYTE_BOUNDS,
    OTHER,
    HourlyTotal,
    OriginKind,
    OriginTotal,
)
from gateway.routing.facts import client_of

_Table = TypeVar("_Table")
_AnySlot = TypeVar("_AnySlot", "Slot", "OriginSlot")
HOUR: Final = 3600
# hours
DAY: Final = 24
# bits of RequestLog.folded
FOLDED_ASKED: Final = 1
FOLDED_UPSTREAM: Final = 2
FOLDED_ORIGIN: Final = {OriginKind.CLIENT.value: 4, OriginKind.FOLDER.value: 8}
# where HourlyTotal.NUMBERS has those of OriginTotal, of which only "failed" is none of its own
_SHARED: Final = itemgetter(
    *(HourlyTotal.NUMBERS.index(name) for name in OriginTotal.NUMBERS if name != "failed")
)
# ends that are failures
FAILED: Final = frozenset({"error", "broken", "interrupted"})
_FIRST_BUCKET: Final = len(HourlyTotal.NUMBERS) - len(BUCKETS)


def spans(hourly: _Table, daily: _Table, first: int, behind: int) -> list[tuple[_Table, int, int]]:
    """Where the hours from `first` to before `behind` are counted in the fewest rows: (table, first, behind).

    Whole days of UTC come from the daily totals, the hours before and behind them from the hourly ones. Who
    needs every hour by itself gives the hourly totals for both.
    """
    midnight, last_midnight = first + -first % DAY, behind - behind % DAY
    if hourly is daily or midnight >= last_midnight:
        return [(hourly, first, behind)] if first < behind else []
    parts = [(hourly, first, midnight), (daily, midnight, last_midnight), (hourly, last_midnight, behind)]
    return [(table, start, end) for table, start, end in parts if start < end]


class Contribution(NamedTuple):
    """The columns of RequestLog that count, as stored and under the same names, so that rows are read so."""

    request_id: str
    started_at: datetime
    endpoint: str
    client_key_id: int | None
    provider: str
    upstream_model: str
    asked_model: str
    folded: int
    state: str
    attempts: int
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    thinking_tokens: int | None
    cost: Decimal | None
    first_byte_ms: int | None
    duration_ms: int | None
    ledger: Sequence[Any]
    request_class: str
    task: str
    client: str
    folder: str
    owner_id: int | None


class Slot(NamedTuple):
    """Where an exchange counts: HourlyTotal.SLOT."""

    hour: int
    endpoint: str
    client_key_pk: int
    provider: str
    upstream_model: str
    asked_model: str
    state: str
    request_class: str


def hour_of(moment: datetime) -> int:
    """Hours since 1970, the unit of the totals."""
    return int(moment.timestamp()) // HOUR


def slot_and_numbers(facts: Contribution) -> tuple[Slot, list[int]]:
    """Where an ended exchange counts, and its HourlyTotal.NUMBERS. An unknown number counts as 0."""
    slot = Slot(
        hour_of(facts.started_at),
        facts.endpoint,
        facts.client_key_id or 0,
        facts.provider,
        OTHER if facts.folded & FOLDED_UPSTREAM else facts.upstream_model,
        OTHER if facts.folded & FOLDED_ASKED else facts.asked_model,
        facts.state,
        counted_as(facts.request_class, facts.task),
    )
    first_byte = facts.first_byte_ms
    numbers = [
        1,
        max(0, facts.attempts - 1),
        facts.input_tokens or 0,
        facts.output_tokens or 0,
        facts.cache_read_tokens or 0,
        facts.cache_write_tokens or 0,
        facts.thinking_tokens or 0,
        0 if facts.cost is None else int(facts.cost / COST_UNIT),
        int(facts.cost is None),
        facts.duration_ms or 0,
        first_byte or 0,
        *([0] * len(BUCKETS)),
    ]
    if first_byte is not None:
        numbers[_FIRST_BUCKET + bisect_left(FIRST_BYTE_BOUNDS, first_byte)] = 1
    return slot, numbers


class OriginSlot(NamedTuple):
    """Where an exchange counts for its client or its folder: OriginTotal.SLOT."""

    hour: int
    kind: str
    name: str
    owner_id: int


def origins(client: str, folder: str) -> list[tuple[str, str]]:
    """(kind, name) of everything that a request is known to come from. `client`: its user agent."""
    found = ((OriginKind.CLIENT.value, _named(client)), (OriginKind.FOLDER.value, folder))
    return [(kind, name) for kind, name in found if name]


# each row asks twice, and few clients send most of them
@lru_cache(maxsize=256)
def _named(client: str) -> str:
    """A user agent as name and version; "" for none."""
    name, version = client_of(client) if client else ("", ())
    return f"{name}/{'.'.join(map(str, version))}" if name and version else name


def origin_slots(facts: Contribution, hour: int) -> list[OriginSlot]:
    """Where an ended exchange of this hour counts for its origins."""
    if facts.endpoint not in CHARGED:
        return []
    return [
        OriginSlot(
            hour,
            kind,
            OTHER if facts.folded & FOLDED_ORIGIN[kind] else name,
            (facts.owner_id or 0) if kind == OriginKind.FOLDER else 0,
        )
        for kind, name in origins(facts.client, facts.folder)
    ]


def _numbers_of_origins(numbers: Sequence[int], state: str) -> list[int]:
    """OriginTotal.NUMBERS of an exchange with these HourlyTotal.NUMBERS."""
    requests, *more = _SHARED(numbers)
    return [requests, int(state in FAILED), *more]


class Tallies:
    """Sums by slot. Slots that add up to nothing are left out when they are read."""

    def __init__(self) -> None:
        self._totals: dict[Slot, list[int]] = {}
        self._origins: dict[OriginSlot, list[int]] = {}
        self._ledger: Counter[tuple[int, str, str]] = Counter()

    def add(self, facts: Contribution, sign: int = 1) -> None:
        """Count an exchange, or with -1 count it off. An open one does not count yet."""
        if facts.state == OPEN:
            return
        slot, numbers = slot_and_numbers(facts)
        _add(self._totals, slot, numbers, sign)
        slots = origin_slots(facts, slot.hour)
        if slots:
            numbers = _numbers_of_origins(numbers, facts.state)
            for origin in slots:
                _add(self._origins, origin, numbers, sign)
        for entry in facts.ledger:
            counted = counted_under(str(entry["code"]), str(entry.get("note", "")))
            self._ledger[slot.hour, slot.provider, counted] += sign

    def take_off(
        self,
        totals: Iterable[Sequence[Any]],
        ledger: Iterable[Sequence[Any]],
        origins: Iterable[Sequence[Any]],
    ) -> None:
        """Count off what `totals`, `ledger` and `origins` once returned."""
        length = len(Slot._fields)
        for row in totals:
            _add(self._totals, Slot._make(row[:length]), row[length:], -1)
        length = len(OriginSlot._fields)
        for row in origins:
            _add(self._origins, OriginSlot._make(row[:length]), row[length:], -1)
        for hour, provider, code, entries in ledger:
            self._ledger[hour, provider, code] -= entries

    def totals(self) -> list[tuple[str | int, ...]]:
        """(*HourlyTotal.SLOT, *HourlyTotal.NUMBERS), in the order of the slots."""
        return _rows(self._totals)

    def days(self) -> list[tuple[str | int, ...]]:
        """The same by day (UTC), identified by its first hour."""
        return _rows(_by_day(self._totals))

    def origins(self) -> list[tuple[str | int, ...]]:
        """(*OriginTotal.SLOT, *OriginTotal.NUMBERS), in the order of the slots."""
        return _rows(self._origins)

    def origin_days(self) -> list[tuple[str | int, ...]]:
        """The same by day (UTC)."""
        return _rows(_by_day(self._origins))

    def ledger(self) -> list[tuple[int, str, str, int]]:
        """(*HourlyLedger.SLOT, entries), in order."""
        return [(*slot, entries) for slot, entries in sorted(self._ledger.items()) if entries]


def _add(sums: dict[_AnySlot, list[int]], slot: _AnySlot, numbers: Sequence[int], sign: int) -> None:
    there = sums.get(slot)
    if there is None:
        there = sums[slot] = [0] * len(numbers)
    for index, number in enumerate(numbers):
        if number:
            there[index] += sign * number


def _by_day(hours: dict[_AnySlot, list[int]]) -> dict[_AnySlot, list[int]]:
    days: dict[_AnySlot, list[int]] = {}
    for slot, sums in hours.items():
        _add(days, slot._replace(hour=slot.hour - slot.hour % DAY), sums, 1)
    return days


def _rows(sums: Mapping[Any, list[int]]) -> list[tuple[str | int, ...]]:
    return [(*slot, *sums[slot]) for slot in sorted(sums) if any(sums[slot])]
