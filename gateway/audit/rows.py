"""Outcomes as rows: many exchanges in one transaction, each exactly once.

A statement is made once from a model's fields; Django's bulk_create builds it
anew for each batch, at ten times the cost of running it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import InterfaceError, OperationalError, ProgrammingError, connection, transaction
from django.db.models import DateTimeField, DecimalField, JSONField, Model

from gateway.audit import bodies, totals
from gateway.audit.counted_names import counted_names
from gateway.audit.masking import Masker
from gateway.audit.outcome import OPEN, ExchangeOutcome
from gateway.audit.pricing import cost_of
from gateway.models import Attempt, ClientKey, RequestLog
from gateway.pricing.book import PriceBook
from gateway.wire import jsontext

logger = logging.getLogger("gateway.audit")

# what a database raises that is away, busy, or not migrated yet: the same rows may go in later
NOT_ANSWERING: Final = (OperationalError, InterfaceError, ProgrammingError)
NO_PRICES: Final = PriceBook()
# what one outcome is besides its own row
_ROWS_OF_THEIR_OWN: Final = frozenset({"tries", "bodies"})
# the lists of most rows, as JSON
_NO_ITEMS: Final = "[]"
SHARED_FIELDS: Final = tuple(
    field.name for field in dataclasses.fields(ExchangeOutcome) if field.name not in _ROWS_OF_THEIR_OWN
)


class Upsert:
    """INSERT ... ON CONFLICT of one row of a model: a later writing replaces the earlier one."""

    def __init__(self, model: type[Model], key: Sequence[str]) -> None:
        fields = [field for field in model._meta.concrete_fields if not field.primary_key]
        # name on the facts, and the longest text it takes
        self._columns = [(field.attname, getattr(field, "max_length", None)) for field in fields]
        # where something stands that the driver does not take as it is
        self._special = [
            (place, field)
            for place, field in enumerate(fields)
            if isinstance(field, JSONField | DateTimeField | DecimalField)
        ]
        columns = [field.column for field in fields]
        updates = ", ".join(f'"{column}" = excluded."{column}"' for column in columns if column not in key)
        names = ", ".join(f'"{column}"' for column in columns)
        places = ", ".join(["%s"] * len(columns))
        insert = f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({places})'  # noqa: S608 (our columns)
        keys = ", ".join(f'"{column}"' for column in key)
        self.statement = f"{insert} ON CONFLICT ({keys}) DO UPDATE SET {updates}"

    def stored(self, facts: Any, **more: Any) -> dict[str, Any]:
        """The row's values by column, in the order of the statement, as they will be read again.

        `more`: columns that `facts` does not have.
        """
        values: dict[str, Any] = {}
        for name, longest in self._columns:
            value = more[name] if name in more else getattr(facts, name)
            if type(value) is str:
                # PostgreSQL takes no NUL characters and no over-long text
                value = value.replace("\x00", "\ufffd")[:longest]
            elif type(value) is list:
                value = _without_nul(value)
            values[name] = value
        return values

    def values(self, stored: Mapping[str, Any]) -> list[Any]:
        """What `stored` gave, as the database's driver takes it."""
        values = list(stored.values())
        for place, field in self._special:
            value = values[place]
            if value == []:
                values[place] = _NO_ITEMS
            elif value is not None:
                values[place] = field.get_db_prep_save(value, connection)
        return values


LOG: Final = Upsert(RequestLog, ["request_id"])
ATTEMPT: Final = Upsert(Attempt, ["request_id", "number"])
_USED: Final = "UPDATE gateway_clientkey SET last_used = %s WHERE id = %s"
_QUEUE: Final = "INSERT INTO gateway_followup (request_id) VALUES (%s) ON CONFLICT (request_id) DO NOTHING"


def write(
    batch: Iterable[ExchangeOutcome], prices: PriceBook = NO_PRICES, mask: Masker | None = None
) -> None:
    """Write the last outcome of each exchange, and what it costs, in one transaction.

    Writing one twice changes nothing.

    Raises what the database raises; then nothing of the batch was written.
    """
    last = _last(batch)
    texts = {
        outcome.request_id: bodies.packed(outcome.bodies, mask) for outcome in last.values() if outcome.bodies
    }
    with transaction.atomic():
        counted = totals.before(last)
        for request_id, facts in counted.items():
            if facts.state != OPEN and last[request_id].state == OPEN:
                # its end is there already: it came by the spool
                del last[request_id]
        if not last:
            return
        rows = [log_row(outcome, *cost_of(outcome, prices)) for outcome in last.values()]
        for row in rows:
            if row["request_id"] in texts:
                row["masked_count"] += texts[row["request_id"]].masked
        counted_names.fold(rows)
        with connection.cursor() as cursor:
            cursor.executemany(LOG.statement, [LOG.values(row) for row in rows])
            tries = [
                ATTEMPT.values(ATTEMPT.stored(attempt, log_id=outcome.request_id))
                for outcome in last.values()
                for attempt in outcome.tries
            ]
            if tries:
                cursor.executemany(ATTEMPT.statement, tries)
            ended = [(name,) for name, outcome in last.items() if _worth_following_up(outcome)]
            if ended:
                cursor.executemany(_QUEUE, ended)
        bodies.store([(name, text) for name, text in texts.items() if name in last])
        _note_used(last.values())
        totals.put(counted, map(totals.counted, rows))


def write_singly(
    batch: Iterable[ExchangeOutcome], prices: PriceBook = NO_PRICES, mask: Masker | None = None
) -> None:
    """Write each outcome by itself, after the database refused one of the batch.

    One whose texts are what cannot be written goes in without them: an end that is missing
    would leave its exchange open. A row that is refused even so is logged whole, the only
    place left for it.
    """
    for outcome in batch:
        if not _written(outcome, prices, mask) and outcome.bodies is not None:
            _written(dataclasses.replace(outcome, bodies=None), prices, mask)


def _written(outcome: ExchangeOutcome, prices: PriceBook, mask: Masker | None) -> bool:
    try:
        write([outcome], prices, mask)
    except NOT_ANSWERING:
        raise
    except Exception as problem:
        facts = {name: str(getattr(outcome, name)) for name in SHARED_FIELDS}
        logger.error("history row refused by the database", extra={"problem": str(problem), **facts})
        return False
    return True


def queue_follow_up(request_ids: Iterable[str]) -> None:
    """Have the follow-up look at these exchanges, in the caller's transaction."""
    rows = [(request_id,) for request_id in request_ids]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_QUEUE, rows)


def _worth_following_up(outcome: ExchangeOutcome) -> bool:
    """Whether audit/follow_up.py will find something to do."""
    return outcome.state != OPEN and (outcome.bodies is not None or bool(outcome.session_id))


def _last(batch: Iterable[ExchangeOutcome]) -> dict[str, ExchangeOutcome]:
    """The outcome of each exchange that stands: the later one, and an end whatever comes after it."""
    last: dict[str, ExchangeOutcome] = {}
    for outcome in batch:
        if outcome.state != OPEN or outcome.request_id not in last:
            last[outcome.request_id] = outcome
    return last


def log_row(outcome: ExchangeOutcome, cost: Decimal | None, price_source: str = "") -> dict[str, Any]:
    """The row of an outcome by column, as it will be stored; names are not folded yet."""
    return LOG.stored(
        outcome,
        ledger_count=len(outcome.ledger),
        tool_count=len(outcome.tools_called),
        cost=cost,
        price_source=price_source,
        folded=0,
    )


def _without_nul(value: list[Any]) -> list[Any]:
    text = jsontext.dumps(value) if value else b""
    return jsontext.loads(text.replace(b"\\u0000", b"\\ufffd")) if b"\\u0000" in text else value


def _note_used(outcomes: Iterable[ExchangeOutcome]) -> None:
    used: dict[int, datetime] = {}
    for outcome in outcomes:
        key_id = outcome.client_key_id
        if key_id is not None:
            used[key_id] = max(outcome.started_at, used.get(key_id, outcome.started_at))
    if used:
        moment = ClientKey._meta.get_field("last_used").get_db_prep_save
        with connection.cursor() as cursor:
            cursor.executemany(_USED, [(moment(used[key_id], connection), key_id) for key_id in sorted(used)])
