"""Counting outcomes: what ended exchanges add to the totals, each once, in whatever order they are processed.

Each counted request has a record of what it counts for (CountedTurn). To count one again is to work out
what it and the later turns of its agent count for now, and to change the totals by the difference, in one
transaction. Two processes that count turns of one session wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.db import connection

from gateway.history.outcomes import tool_names
from gateway.history.outcomes.attribution import (
    CONVERSING,
    LOOK_BACK,
    AgentTurn,
    Attempted,
    Derived,
    OutcomeSlot,
    derived,
)
from gateway.history.outcomes.counted_turns import PUT_TURN, Record, counted_text, records_of
from gateway.history.outcomes.turn_facts import UNREAD, TurnFacts
from gateway.history.outcomes.turn_rows import (
    AT_ONCE,
    StoredTurn,
    attempts_of,
    ended_turns,
    portions,
    turns_around,
)
from gateway.history.outcomes.units import NONE_YET, CountedAs, SessionShare, UnitSums, numbers_of
from gateway.history.statements import Statement, among
from gateway.history.totals.contributions import DAY
from gateway.models import (
    CountedTurn,
    CountedUnit,
    DailyOutcome,
    DailyTool,
    HourlyOutcome,
    HourlyTool,
)
from gateway.models.history.outcome_total import OutcomeTotal, ToolTotal
from gateway.wire import jsontext

# how many turns of an agent are read at first, and when those behind change as well
_BEHIND: Final = (250, 2_500, 2**31 - 1)
# namespace of our advisory locks on sessions
_LOCKS: Final = 0x63637074
_LOCK: Final = """
SELECT pg_advisory_xact_lock(%s, key) FROM (
    SELECT DISTINCT hashtext(coalesce(nullif(session_id, ''), request_id)) AS key FROM gateway_requestlog
    WHERE request_id = ANY(%s) ORDER BY key
) AS keys
"""
_PUT_UNIT: Final = Statement("""
INSERT INTO gateway_countedunit (digest, hours, turns, tokens, cost_units, unpriced, last)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (digest) DO UPDATE SET
    hours = excluded.hours, turns = excluded.turns, tokens = excluded.tokens,
    cost_units = excluded.cost_units, unpriced = excluded.unpriced, last = excluded.last
""")
_DROP_UNIT: Final = "DELETE FROM gateway_countedunit WHERE digest IN ({places})"
_UNITS: Final = (
    "SELECT digest, hours, turns, tokens, cost_units, unpriced FROM gateway_countedunit"
    " WHERE digest IN ({places})"
)


def _add_up(table: Any) -> Statement:
    name, slot, numbers = table._meta.db_table, table.SLOT, table.NUMBERS
    places = ", ".join(["%s"] * (len(slot) + len(numbers)))
    sums = ", ".join(f"{number} = {name}.{number} + excluded.{number}" for number in numbers)
    return Statement(
        f"INSERT INTO {name} ({', '.join((*slot, *numbers))}) VALUES ({places}) "  # noqa: S608 (our columns)
        f"ON CONFLICT ({', '.join(slot)}) DO UPDATE SET {sums}"
    )


_ADD, _ADD_DAY, _ADD_TOOL, _ADD_TOOL_DAY = map(_add_up, (HourlyOutcome, DailyOutcome, HourlyTool, DailyTool))


def count(request_ids: Iterable[str], facts: Mapping[str, TurnFacts]) -> int:
    """Count these exchanges, or count them again, inside the caller's transaction; returns how many count.

    `facts`: what their contents say; what is missing or UNREAD stays what an earlier look found. What is
    open, gone or no request for an answer counts for nothing. Raises what the database raises.
    """
    names = list(request_ids)
    _lock(names)
    wanted = ended_turns(names)
    if not wanted:
        return 0
    touched = frozenset(turn.name for turn in wanted)
    changes = _Changes()
    alone = [turn for turn in wanted if not _converses(turn)]
    records = records_of(turn.name for turn in alone)
    tries = attempts_of(turn.row for turn in alone)
    for turn in alone:
        changes.add(_worked_out([turn], touched, records, facts, tries)[0])
    for some in _agents(wanted):
        changes.add(_of_agent(some, touched, facts))
    changes.write()
    return len(wanted)


def _of_agent(
    some: Sequence[StoredTurn], touched: frozenset[str], facts: Mapping[str, TurnFacts]
) -> list[_Change]:
    """What changes among the turns of one agent of which `some` are counted.

    Few behind them change, if any, so the others are read only when it does not end with those.
    """
    wanted = {turn.name for turn in some}
    changes: list[_Change] = []
    for most in _BEHIND:
        turns = turns_around(some, LOOK_BACK, most)
        if len(turns) >= most and not wanted.issubset(turn.name for turn in turns):
            # they are farther apart
            continue
        records = records_of(turn.name for turn in turns)
        tries = attempts_of(turn.row for turn in turns)
        changes, settled = _worked_out(turns, touched, records, facts, tries)
        if settled or len(turns) < most:
            break
    return changes


def _worked_out(
    stored: Sequence[StoredTurn],
    touched: frozenset[str],
    records: Mapping[str, Record],
    facts: Mapping[str, TurnFacts],
    tries: Mapping[str, list[Attempted]],
) -> tuple[list[_Change], bool]:
    """The turns that count for something else now, and whether no turn behind these can.

    A turn depends on those LOOK_BACK before it, so once as many have stayed the same, all do.
    """
    known = [turn for turn in stored if turn.name in touched or turn.name in records]
    places = [number for number, turn in enumerate(known) if turn.name in touched]
    turns = [_turn(turn, records.get(turn.name), facts, tries) for turn in known]
    there = {turn.name for turn in known}
    changes: list[_Change] = []
    same = 0
    for number, now in enumerate(derived(turns, places[0]), places[0]):
        turn = turns[number]
        old = records.get(turn.row.request_id)
        if old is not None and old.told_of and not now.told_of and old.told_of not in there:
            # what it told of is kept no longer, and stays counted
            now = now._replace(told=old.told, told_of=old.told_of)
        change = _Change.of(turn, old, now)
        if old is None or old.text != change.text:
            changes.append(change)
            same = 0
        elif number > places[-1]:
            same += 1
            if same == LOOK_BACK:
                return changes, True
    return changes, False


def count_again(request_ids: Iterable[str]) -> None:
    """Count those of these exchanges again that were counted, after their rows were changed.

    Inside the caller's transaction.
    """
    names = list(request_ids)
    known = CountedTurn.objects.filter(pk__in=names).values_list("pk", flat=True)
    count(list(known), {})


def forget(request_ids: Sequence[str]) -> None:
    """Drop the records of exchanges that are removed from the history; they stay counted."""
    CountedTurn.objects.filter(pk__in=request_ids).delete()


def forget_units(before: int) -> None:
    """Drop the sums of sessions and prompts whose last request began before an hour; they stay counted.

    One that goes on after all counts as another.
    """
    while True:
        some = list(CountedUnit.objects.filter(last__lt=before).values_list("pk", flat=True)[: 10 * AT_ONCE])
        if not some:
            return
        CountedUnit.objects.filter(pk__in=some).delete()


class _Change(NamedTuple):
    """One turn that counts for `now`, and counted for `old` so far.

    `text`: the columns of its CountedTurn.
    """

    old: Record | None
    now: Derived
    text: tuple[str, ...]

    @classmethod
    def of(cls, turn: AgentTurn, old: Record | None, now: Derived) -> _Change:
        plain = now._replace(own=tool_names.folded(now.own), told=tool_names.folded(now.told))
        facts = turn.facts.as_json()
        return cls(old, plain, (turn.row.request_id, plain.prompt, plain.told_of, facts, counted_text(plain)))


class _Changes:
    """The differences that some turns make, to totals and units."""

    def __init__(self) -> None:
        self._totals: dict[OutcomeSlot, dict[str, int]] = {}
        self._tools: dict[tuple[OutcomeSlot, str], dict[str, int]] = {}
        self._shares: list[tuple[CountedAs, SessionShare, int]] = []
        self._turns: list[tuple[str, ...]] = []

    def add(self, changes: Iterable[_Change]) -> None:
        """Count off what turns counted for, and on what they count for now."""
        for old, now, text in changes:
            self._turns.append(text)
            if old is not None:
                self._add_all(old, -1)
            self._add_all(now, 1)

    def write(self) -> None:
        PUT_TURN.many(self._turns)
        self._write_units()
        _write(
            _ADD, _ADD_DAY, OutcomeTotal.NUMBERS, {tuple(slot): sums for slot, sums in self._totals.items()}
        )
        _write(
            _ADD_TOOL,
            _ADD_TOOL_DAY,
            ToolTotal.NUMBERS,
            {(*slot, tool): sums for (slot, tool), sums in self._tools.items()},
        )

    def _add_all(self, what: Record | Derived, sign: int) -> None:
        for sums in (what.own, what.told):
            for slot, numbers in sums.of.items():
                _sum_up(self._totals.setdefault(slot, {}), numbers, sign)
            for key, numbers in sums.tools.items():
                _sum_up(self._tools.setdefault(key, {}), numbers, sign)
        if what.share is not None:
            self._shares += [(unit, what.share, sign) for unit in what.units]

    def _write_units(self) -> None:
        units = {unit.digest: unit for unit, _, _ in self._shares}
        before = _units(units)
        after = dict(before)
        for unit, share, sign in self._shares:
            after[unit.digest] = after.get(unit.digest, NONE_YET).changed(share, sign)
        changed = sorted(digest for digest in units if after[digest] != before.get(digest, NONE_YET))
        for digest in changed:
            kind, slot = units[digest].kind, units[digest].slot
            for sums, sign in ((before.get(digest, NONE_YET), -1), (after[digest], 1)):
                if sums.hours:
                    place = slot._replace(hour=min(sums.hours))
                    _sum_up(self._totals.setdefault(place, {}), numbers_of(kind, sums), sign)
        gone = [digest for digest in changed if not after[digest].hours]
        if gone:
            among(_DROP_UNIT, len(gone)).many([gone])
        left = [(digest, after[digest]) for digest in changed if after[digest].hours]
        _PUT_UNIT.many(
            [
                (digest, jsontext.dumps(sorted(one.hours.items())).decode(), *one[1:], max(one.hours))
                for digest, one in left
            ]
        )


def _sum_up(sums: dict[str, int], numbers: Mapping[str, int], sign: int) -> None:
    for name, number in numbers.items():
        sums[name] = sums.get(name, 0) + sign * number


def _write(
    hourly: Statement, daily: Statement, names: Sequence[str], sums: Mapping[tuple[Any, ...], Any]
) -> None:
    """Add sums by slot to the totals of hours and days, in the order of the slots."""
    days: dict[tuple[Any, ...], dict[str, int]] = {}
    some = {slot: numbers for slot, numbers in sums.items() if any(numbers.values())}
    for (hour, *rest), numbers in some.items():
        _sum_up(days.setdefault((hour - hour % DAY, *rest), {}), numbers, 1)
    for statement, totals in ((hourly, some), (daily, days)):
        statement.many([(*slot, *(totals[slot].get(name, 0) for name in names)) for slot in sorted(totals)])


def _lock(request_ids: Sequence[str]) -> None:
    """Nobody else counts turns of these sessions now; on SQLite nobody else writes at all."""
    if connection.vendor == "postgresql" and request_ids:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, [_LOCKS, list(request_ids)])
            cursor.fetchall()


def _agents(turns: Iterable[StoredTurn]) -> Iterable[list[StoredTurn]]:
    """Those of these turns that carry a conversation on, by the agent whose it is."""
    agents: dict[tuple[Any, ...], list[StoredTurn]] = {}
    for turn in turns:
        if _converses(turn):
            agents.setdefault(turn.agent, []).append(turn)
    return agents.values()


def _converses(turn: StoredTurn) -> bool:
    return bool(turn.row.session_id) and turn.row.request_class in CONVERSING


def _units(digests: Iterable[bytes]) -> dict[bytes, UnitSums]:
    found: dict[bytes, UnitSums] = {}
    for some in portions(digests):
        for digest, hours, *sums in among(_UNITS, len(some)).rows(some):
            found[bytes(digest)] = UnitSums(dict(jsontext.loads(hours)), *sums)
    return found


def _turn(
    stored: StoredTurn,
    record: Record | None,
    facts: Mapping[str, TurnFacts],
    tries: Mapping[str, list[Attempted]],
) -> AgentTurn:
    name = stored.row.request_id
    seen = facts.get(name, UNREAD)
    if record is None:
        return AgentTurn(stored.row, seen, tries.get(name, ()))
    # contents that were removed had been read before
    return AgentTurn(stored.row, seen if seen.read else record.facts, tries.get(name, ()), record.prompt)
