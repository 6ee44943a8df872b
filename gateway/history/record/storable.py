"""Values in a form that every database takes, for rows that were refused as they were.

The usual row needs none of this, so it is paid for only after a refusal.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, cast

from django.db.models import (
    BooleanField,
    CharField,
    DateTimeField,
    Field,
    IntegerField,
    JSONField,
    Model,
    TextField,
)

from gateway.conversion.ledger import LedgerRow
from gateway.history.outcome import AttemptFacts, CapturedBodies, ExchangeOutcome
from gateway.models import Attempt, RequestLog
from gateway.models.base import storable_text

# how much of one of its lists a row keeps
MOST_ITEMS: Final = 1_000
LONGEST_TEXT: Final = 10_000
DEEPEST: Final = 20
_ASKED: Final = ("received", "sent")
_ANSWERED: Final = ("answered", "returned")
# the same sizes on every database: SQLite itself would take more
_MOST: Final = {
    "PositiveSmallIntegerField": 2**15 - 1,
    "SmallIntegerField": 2**15 - 1,
    "BigIntegerField": 2**63 - 1,
    "PositiveBigIntegerField": 2**63 - 1,
    "ForeignKey": 2**63 - 1,
}
_USUAL_MOST: Final = 2**31 - 1


def storable_json(value: object, depth: int = DEEPEST) -> Any:
    """`value` as JSON that every database takes: bounded in depth and length, finite numbers."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)[:LONGEST_TEXT]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [storable_json(item, depth - 1) for item in value[:MOST_ITEMS]] if depth else []
    if isinstance(value, dict):
        items = list(value.items())[:MOST_ITEMS] if depth else []
        return {storable_text(key, LONGEST_TEXT): storable_json(item, depth - 1) for key, item in items}
    return storable_text(value, LONGEST_TEXT)


def in_range(value: object, field: Field[Any, Any]) -> bool:
    """Whether a number fits into its column."""
    if type(value) is not int:
        return False
    most = _MOST.get(field.get_internal_type(), _USUAL_MOST)
    least = 0 if field.get_internal_type().startswith("Positive") else -most
    return least <= value <= most


def lesser(outcome: ExchangeOutcome) -> Iterator[ExchangeOutcome]:
    """Forms of a refused outcome, each with less than the one before.

    Its ledger says what was left out. The last form only identifies the exchange, when it was and how it
    ended.
    """
    clean = _clean(outcome)
    yield clean
    if clean.verdicts or clean.novelties:
        yield _without_side_rows(clean)
    bodies = clean.bodies
    if bodies is not None:
        for left, words in ((_ASKED, "the answer"), (_ANSWERED, "the request")):
            part = _without(bodies, left)
            if any(getattr(part, name) for name in (*_ASKED, *_ANSWERED)):
                note = f"the database refused the texts of this exchange; kept is {words}"
                yield _marked(dataclasses.replace(clean, bodies=part), "bodies", note)
        clean = without_texts(clean, "the database refused the texts of this exchange")
        yield clean
        if clean.verdicts or clean.novelties:
            yield _without_side_rows(clean)
    bare = ExchangeOutcome(
        clean.request_id,
        clean.started_at,
        clean.endpoint,
        clean.state,
        client_key_id=clean.client_key_id,
        key_name=clean.key_name,
        owner_id=clean.owner_id,
        session_id=clean.session_id,
        status=clean.status,
        error_type=clean.error_type,
        served_by=clean.served_by,
    )
    yield _marked(bare, "", "the database refused the other facts of this exchange")


def without_texts(outcome: ExchangeOutcome, why: str) -> ExchangeOutcome:
    """The same without its texts; its ledger says why."""
    return _marked(dataclasses.replace(outcome, bodies=None), "bodies", why)


def _without_side_rows(outcome: ExchangeOutcome) -> ExchangeOutcome:
    """The same without what stands in tables of its own."""
    less = dataclasses.replace(outcome, verdicts=[], novelties=[])
    return _marked(less, "verdicts, novelties", "the database refused what was noted beside this exchange")


def _clean(outcome: ExchangeOutcome) -> ExchangeOutcome:
    """The same with every value that a column cannot hold replaced by one that it can."""
    facts, changed = _values(RequestLog, outcome)
    tries: list[AttemptFacts] = []
    for number, attempt in enumerate(outcome.tries, 1):
        values, names = _values(Attempt, attempt)
        tries.append(dataclasses.replace(attempt, **values))
        changed += [f"attempt {number}: {name}" for name in names]
    bodies = outcome.bodies
    if bodies is not None:
        headers = {storable_text(name): storable_text(value) for name, value in bodies.headers.items()}
        bodies = dataclasses.replace(bodies, headers=headers)
    clean = dataclasses.replace(outcome, **facts, tries=tuple(tries), bodies=bodies)
    if changed:
        clean = _marked(clean, ", ".join(changed), "the column cannot hold what was there")
    return clean


def _values(model: type[Model], facts: ExchangeOutcome | AttemptFacts) -> tuple[dict[str, Any], list[str]]:
    """The storable values of all facts that are columns of `model`, and the names of those that differ."""
    values: dict[str, Any] = {}
    changed: list[str] = []
    for name, field in _columns(model, cast(Hashable, type(facts))):
        before = getattr(facts, name)
        after = values[name] = _value(before, field)
        # a text that is cut or cleaned still says what it said
        if after != before and not isinstance(field, CharField | TextField):
            changed.append(name)
    return values, changed


@cache
def _columns(model: type[Model], facts: Hashable) -> tuple[tuple[str, Field[Any, Any]], ...]:
    names = {field.name for field in dataclasses.fields(cast(Any, facts))}
    return tuple((field.attname, field) for field in model._meta.concrete_fields if field.attname in names)


def _value(value: Any, field: Field[Any, Any]) -> Any:
    if isinstance(field, CharField | TextField):
        return storable_text("" if value is None else value, field.max_length)
    if isinstance(field, JSONField):
        kinds: tuple[type, ...] = (dict,) if field.default is dict else (list, tuple)
        return storable_json(value) if isinstance(value, kinds) else field.get_default()
    if isinstance(field, DateTimeField):
        return value if _is_moment(value) else datetime.now(UTC)
    if isinstance(field, BooleanField):
        return bool(value)
    if isinstance(field, IntegerField) or field.is_relation:
        return value if in_range(value, field) else None if field.null else 0
    return value


def _is_moment(value: object) -> bool:
    # a time zone's offset must not lead out of the valid years
    return isinstance(value, datetime) and value.tzinfo is not None and 1970 <= value.year <= 9000


def _without(bodies: CapturedBodies, names: tuple[str, ...]) -> CapturedBodies:
    left: dict[str, Any] = dict.fromkeys(names, b"")
    left.update({f"{name}_json": None for name in names if name in _ASKED})
    return dataclasses.replace(bodies, **left)


def _marked(outcome: ExchangeOutcome, path: str, note: str) -> ExchangeOutcome:
    where = f"history: {path}" if path else "history"
    entry: LedgerRow = {"code": "dropped", "path": where[:LONGEST_TEXT], "note": note}
    return dataclasses.replace(outcome, ledger=[*outcome.ledger, entry])
