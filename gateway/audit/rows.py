"""Outcomes as rows: many exchanges in one transaction, each exactly once.

The statement is made once from the model's fields; Django's bulk_create builds it
anew for each batch, at ten times the cost of running it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.db import InterfaceError, OperationalError, ProgrammingError, connection, transaction

from gateway.audit import bodies
from gateway.audit.outcome import OPEN, ExchangeOutcome
from gateway.models import ClientKey, RequestLog
from gateway.wire import jsontext

logger = logging.getLogger("gateway.audit")

# what a database raises that is away, busy, or not migrated yet: the same rows may go in later
NOT_ANSWERING: Final = (OperationalError, InterfaceError, ProgrammingError)
SHARED_FIELDS: Final = tuple(
    field.name for field in dataclasses.fields(ExchangeOutcome) if field.name != "bodies"
)
_FIELDS: Final = tuple(field for field in RequestLog._meta.concrete_fields if not field.primary_key)
# field, its name on the outcome, and the longest text it takes
_COLUMNS: Final = tuple((field, field.attname, getattr(field, "max_length", None)) for field in _FIELDS)


def _statement() -> str:
    """INSERT ... ON CONFLICT of one row: a later outcome of an exchange replaces the earlier one."""
    columns = [field.column for field in _FIELDS]
    updates = ", ".join(f'"{column}" = excluded."{column}"' for column in columns if column != "request_id")
    names = ", ".join(f'"{column}"' for column in columns)
    places = ", ".join(["%s"] * len(columns))
    insert = f'INSERT INTO "{RequestLog._meta.db_table}" ({names}) VALUES ({places})'  # noqa: S608 (our columns)
    return f'{insert} ON CONFLICT ("request_id") DO UPDATE SET {updates}'


_UPSERT: Final = _statement()
_QUEUE: Final = "INSERT INTO gateway_followup (request_id) VALUES (%s) ON CONFLICT (request_id) DO NOTHING"
# columns that are the lengths of others
_LENGTHS: Final = {"ledger_count": "ledger", "tool_count": "tools_called"}


def write(batch: Iterable[ExchangeOutcome]) -> None:
    """Write the last outcome of each exchange in one transaction; writing one twice changes nothing.

    Raises what the database raises; then nothing of the batch was written.
    """
    last = {outcome.request_id: outcome for outcome in batch}
    texts = [
        (outcome.request_id, bodies.packed(outcome.bodies)) for outcome in last.values() if outcome.bodies
    ]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.executemany(_UPSERT, [_values(outcome) for outcome in last.values()])
            ended = [(name,) for name, outcome in last.items() if _worth_following_up(outcome)]
            if ended:
                cursor.executemany(_QUEUE, ended)
        bodies.store(texts)
        for key_id, used in _last_used(last.values()).items():
            ClientKey.objects.filter(pk=key_id).update(last_used=used)


def write_singly(batch: Iterable[ExchangeOutcome]) -> None:
    """Write each outcome by itself, after the database refused one of the batch.

    A row that is refused even so is logged whole, the only place left for it.
    """
    for outcome in batch:
        try:
            write([outcome])
        except NOT_ANSWERING:
            raise
        except Exception as problem:
            facts = {name: str(getattr(outcome, name)) for name in SHARED_FIELDS}
            logger.error("history row refused by the database", extra={"problem": str(problem), **facts})


def _worth_following_up(outcome: ExchangeOutcome) -> bool:
    """Whether audit/follow_up.py will find something to do."""
    return outcome.state != OPEN and (outcome.bodies is not None or bool(outcome.session_id))


def _values(outcome: ExchangeOutcome) -> list[Any]:
    """The row's values in the order of the statement, as the database's driver takes them."""
    values: list[Any] = []
    for field, name, longest in _COLUMNS:
        value = len(getattr(outcome, _LENGTHS[name])) if name in _LENGTHS else getattr(outcome, name)
        if type(value) is str:
            # PostgreSQL takes no NUL characters and no over-long text
            value = value.replace("\x00", "\ufffd")[:longest]
        elif type(value) is list:
            value = field.get_db_prep_save(_without_nul(value), connection)
        elif type(value) is datetime:
            value = field.get_db_prep_save(value, connection)
        values.append(value)
    return values


def _without_nul(value: list[Any]) -> list[Any]:
    text = jsontext.dumps(value) if value else b""
    return jsontext.loads(text.replace(b"\\u0000", b"\\ufffd")) if b"\\u0000" in text else value


def _last_used(outcomes: Iterable[ExchangeOutcome]) -> dict[int, datetime]:
    used: dict[int, datetime] = {}
    for outcome in outcomes:
        key_id = outcome.client_key_id
        if key_id is not None:
            used[key_id] = max(outcome.started_at, used.get(key_id, outcome.started_at))
    return used
