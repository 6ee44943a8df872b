"""What an exchange adds to the hourly totals (pure).

`slot_and_numbers` says where an ended exchange counts, and what. Tallies add such facts up, or take them
off again, because a row that is replaced is counted off.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar

from gateway.client_protocol.purpose import counted_as
from gateway.conversion.repairs import counted_under
from gateway.history.outcome import OPEN
from gateway.models.history.hourly_total import BUCKETS, COST_UNIT, FIRST_BYTE_BOUNDS, OTHER, HourlyTotal

_Table = TypeVar("_Table")
HOUR: Final = 3600
# hours
DAY: Final = 24
# bits of RequestLog.folded
FOLDED_ASKED: Final = 1
FOLDED_UPSTREAM: Final = 2
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


class Tallies:
    """Sums by slot. Slots that add up to nothing are left out when they are read."""

    def __init__(self) -> None:
        self._totals: dict[Slot, list[int]] = {}
        self._ledger: Counter[tuple[int, str, str]] = Counter()

    def add(self, facts: Contribution, sign: int = 1) -> None:
        """Count an exchange, or with -1 count it off. An open one does not count yet."""
        if facts.state == OPEN:
            return
        slot, numbers = slot_and_numbers(facts)
        sums = self._totals.setdefault(slot, [0] * len(numbers))
        for index, number in enumerate(numbers):
            if number:
                sums[index] += sign * number
        for entry in facts.ledger:
            counted = counted_under(str(entry["code"]), str(entry.get("note", "")))
            self._ledger[slot.hour, slot.provider, counted] += sign

    def take_off(self, totals: Iterable[Sequence[Any]], ledger: Iterable[Sequence[Any]]) -> None:
        """Count off what `totals` and `ledger` once returned."""
        length = len(Slot._fields)
        for row in totals:
            sums = self._totals.setdefault(Slot._make(row[:length]), [0] * (len(row) - length))
            for index, number in enumerate(row[length:]):
                sums[index] -= number
        for hour, provider, code, entries in ledger:
            self._ledger[hour, provider, code] -= entries

    def totals(self) -> list[tuple[Any, ...]]:
        """(*HourlyTotal.SLOT, *HourlyTotal.NUMBERS), in the order of the slots."""
        return [(*slot, *sums) for slot, sums in sorted(self._totals.items()) if any(sums)]

    def days(self) -> list[tuple[Any, ...]]:
        """The same by day (UTC), identified by its first hour."""
        days: dict[Slot, list[int]] = {}
        for slot, sums in self._totals.items():
            day = days.setdefault(slot._replace(hour=slot.hour - slot.hour % DAY), [0] * len(sums))
            for index, number in enumerate(sums):
                if number:
                    day[index] += number
        return [(*slot, *sums) for slot, sums in sorted(days.items()) if any(sums)]

    def ledger(self) -> list[tuple[int, str, str, int]]:
        """(*HourlyLedger.SLOT, entries), in order."""
        return [(*slot, entries) for slot, entries in sorted(self._ledger.items()) if entries]
