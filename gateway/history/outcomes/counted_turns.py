"""What each request counts for, stored as text, so that it can be counted off before it is counted again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from gateway.history.outcomes.attribution import Derived, OutcomeSlot, Sums
from gateway.history.outcomes.turn_facts import TurnFacts, from_json
from gateway.history.outcomes.turn_rows import portions
from gateway.history.outcomes.units import CountedAs, SessionShare
from gateway.history.statements import Statement, among
from gateway.wire import jsontext

PUT_TURN: Final = Statement("""
INSERT INTO gateway_countedturn (request_id, prompt, told_of, facts, counted) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (request_id) DO UPDATE SET
    prompt = excluded.prompt, told_of = excluded.told_of, facts = excluded.facts, counted = excluded.counted
""")
_TURNS: Final = (
    "SELECT request_id, prompt, told_of, facts, counted FROM gateway_countedturn"
    " WHERE request_id IN ({places})"
)


class Record(NamedTuple):
    """A CountedTurn: the facts of a request and what it counted for.

    `text`: its columns as they stand there.
    """

    text: tuple[str, ...]
    prompt: str
    told_of: str
    facts: TurnFacts
    own: Sums
    told: Sums
    share: SessionShare | None
    units: list[CountedAs]


def records_of(request_ids: Iterable[str]) -> dict[str, Record]:
    """The records of those that were counted, by request id."""
    found: dict[str, Record] = {}
    for some in portions(request_ids):
        for request_id, prompt, told_of, facts, counted in among(_TURNS, len(some)).rows(some):
            text = (request_id, prompt, told_of, facts, counted)
            found[request_id] = Record(text, prompt, told_of, from_json(facts), *_read(counted))
    return found


def counted_text(now: Derived) -> str:
    """What `_read` reads. A slot is written once, because it is most of the text."""
    slots: dict[OutcomeSlot, int] = {}

    def place(slot: OutcomeSlot) -> int:
        return slots.setdefault(slot, len(slots))

    sums = [
        [
            [place(slot), numbers, {tool: told for (at, tool), told in some.tools.items() if at == slot}]
            for slot, numbers in some.of.items()
        ]
        for some in (now.own, now.told)
    ]
    units = [[unit.kind, unit.digest.hex(), place(unit.slot)] for unit in now.units]
    share = None if now.share is None else list(now.share)
    return jsontext.dumps([list(map(list, slots)), *sums, share, units]).decode()


def _read(counted: str) -> tuple[Sums, Sums, SessionShare | None, list[CountedAs]]:
    kept, own, told, share, units = jsontext.loads(counted)
    slots = [OutcomeSlot(*slot) for slot in kept]
    return (
        _sums(own, slots),
        _sums(told, slots),
        None if share is None else SessionShare(*share),
        [CountedAs(kind, bytes.fromhex(digest), slots[place]) for kind, digest, place in units],
    )


def _sums(kept: Iterable[Any], slots: Sequence[OutcomeSlot]) -> Sums:
    sums = Sums()
    for place, numbers, tools in kept:
        sums.of[slots[place]] = numbers
        for tool, by_tool in tools.items():
            sums.tools[slots[place], tool] = by_tool
    return sums
