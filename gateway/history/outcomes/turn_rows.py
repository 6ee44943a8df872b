"""Rows of requests as counting needs them, in plain SQL: an ORM query costs more than all that is done with
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from gateway.history.outcomes.attribution import CONVERSING, Attempted, TurnRow
from gateway.history.statements import Statement, among
from gateway.history.totals.contributions import hour_of
from gateway.models.history.hourly_total import COST_UNIT
from gateway.wire import jsontext

# values in one IN (...)
AT_ONCE: Final = 500

_COLUMNS: Final = ", ".join(
    {"hour": "started_at", "cost_units": "cost"}.get(name, name) for name in TurnRow._fields
)
_PLACE: Final = {name: number for number, name in enumerate(TurnRow._fields)}
_LISTS: Final = [_PLACE[name] for name in ("ledger", "tools_called", "tools_failed")]
_ENDED: Final = (
    f"SELECT {_COLUMNS} FROM gateway_requestlog WHERE request_id IN ({{places}})"  # noqa: S608 (our columns)
    " AND endpoint = 'messages' AND state <> 'open'"
)
_CLASSES: Final = ", ".join(f"'{name}'" for name in sorted(CONVERSING))
_AGENT: Final = (
    f"SELECT {_COLUMNS} FROM gateway_requestlog"  # noqa: S608 (our columns)
    f" WHERE session_id = %s AND agent_id = %s AND request_class IN ({_CLASSES})"
    " AND endpoint = 'messages' AND state <> 'open' AND {holder}"
)
# an owner's keys are one holder
_HOLDERS: Final = ("owner_id = %s", "owner_id IS NULL AND client_key_id = %s",
                   "owner_id IS NULL AND client_key_id IS NULL")  # fmt: skip
_IN_FRONT: Final = " AND started_at < %s ORDER BY started_at DESC, request_id DESC LIMIT %s"
_COUNTED: Final = "SELECT 1 FROM gateway_countedturn one WHERE one.request_id = gateway_requestlog.request_id"
_FROM_THERE: Final = (
    f" AND started_at >= %s AND (started_at <= %s OR EXISTS ({_COUNTED}))"
    " ORDER BY started_at, request_id LIMIT %s"
)
_BEFORE, _BEHIND = (
    [Statement(_AGENT.format(holder=holder) + which) for holder in _HOLDERS]
    for which in (_IN_FRONT, _FROM_THERE)
)
_TRIES: Final = (
    "SELECT request_id, provider, upstream_model, state FROM gateway_attempt"
    " WHERE request_id IN ({places}) ORDER BY request_id, number"
)


class StoredTurn(NamedTuple):
    """A row, and when it began in the database's own form, for the next query."""

    row: TurnRow
    started_at: Any

    @property
    def name(self) -> str:
        return self.row.request_id

    @property
    def agent(self) -> tuple[Any, ...]:
        """Whose turn it is: session, agent, and their holder."""
        row = self.row
        key = row.client_key_id if row.owner_id is None else None
        return row.session_id, row.agent_id, row.owner_id, key


def ended_turns(request_ids: Iterable[str]) -> list[StoredTurn]:
    """The requests for an answer among these that have ended."""
    return [
        _stored(values) for some in portions(request_ids) for values in among(_ENDED, len(some)).rows(some)
    ]


def turns_around(turns: Sequence[StoredTurn], before: int, most: int) -> list[StoredTurn]:
    """The turns of one agent in the order in which they began: so many before the first of `turns`, then up
    to the last of them all, and behind it those that were counted; from the first on `most` at most.
    """
    session_id, agent_id, owner_id, key_id = turns[0].agent
    kind = 0 if owner_id is not None else 1 if key_id is not None else 2
    agent = [session_id, agent_id, *((owner_id,), (key_id,), ())[kind]]
    first, last = min(turn.started_at for turn in turns), max(turn.started_at for turn in turns)
    earlier = _BEFORE[kind].rows([*agent, first, before])
    return [
        _stored(values) for values in (*reversed(earlier), *_BEHIND[kind].rows([*agent, first, last, most]))
    ]


def attempts_of(rows: Iterable[TurnRow]) -> dict[str, list[Attempted]]:
    """The attempts of requests that were tried more than once; the row of one that was not says it all."""
    found: dict[str, list[Attempted]] = {}
    for some in portions(row.request_id for row in rows if row.attempts > 1):
        for request_id, *told in among(_TRIES, len(some)).rows(some):
            found.setdefault(request_id, []).append(Attempted(*told))
    return found


def portions(values: Iterable[object]) -> Iterator[list[Any]]:
    """Each value once, AT_ONCE at a time."""
    every = list(dict.fromkeys(values))
    for start in range(0, len(every), AT_ONCE):
        yield every[start : start + AT_ONCE]


def _stored(values: Sequence[Any]) -> StoredTurn:
    plain = list(values)
    began = plain[_PLACE["hour"]]
    # SQLite keeps a time as text in UTC
    moment = datetime.fromisoformat(began).replace(tzinfo=UTC) if isinstance(began, str) else began
    plain[_PLACE["hour"]] = hour_of(moment)
    plain[_PLACE["cost_units"]] = _units(plain[_PLACE["cost_units"]])
    for place in _LISTS:
        plain[place] = _list(plain[place])
    return StoredTurn(TurnRow._make(plain), began)


def _units(cost: Any) -> int | None:
    """SQLite keeps an amount as a number, or as text where that would be less exact."""
    if cost is None:
        return None
    return round(cost * 10**10) if isinstance(cost, int | float) else int(Decimal(cost) / COST_UNIT)


def _list(value: Any) -> Any:
    if value == "[]":
        return ()
    return jsontext.loads(value) if isinstance(value, str) else value
