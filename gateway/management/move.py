"""Copies every record of this database into an empty PostgreSQL, and compares what arrived.

Rows keep their primary keys. A table in the target says how far the copy is, in the transaction of the
rows that it is about, so an interrupted copy continues where it stopped. The search index is not
copied: `rebuildindex` makes it from the contents.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.core.management.color import no_style
from django.db import connections, models, transaction
from django.utils.translation import gettext as _

from gateway.models import Lease, Sealed, SearchText, ServingProcess
from gateway.models.base import storable_text

TARGET: Final = "target"
# tables of running processes, and tables that are rebuilt
_NOT_MOVED: Final = frozenset({ServingProcess, Lease, SearchText})
AT_ONCE: Final = 200
_PROGRESS: Final = "ccproxy_move"


class CannotMove(Exception):
    """The message says why, and what to do."""


@dataclass(slots=True)
class Moved:
    """One table: `rows` copied or compared so far, and how many of them were `cleaned`, because PostgreSQL
    does not take their text as it was. `digest`: the SHA-256 over all its rows, once they were compared.
    """

    table: str
    rows: int = 0
    cleaned: int = 0
    digest: str = ""


def tables() -> list[type[models.Model]]:
    """The models whose rows are copied, each after those that it refers to."""
    left = {
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and model not in _NOT_MOVED
    }
    ordered: list[type[models.Model]] = []
    while left:
        free = [model for model in left if not (_parents(model) & left - {model})]
        if not free:
            raise CannotMove(_("Records refer to each other in a circle"))
        ordered += sorted(free, key=lambda model: model._meta.db_table)
        left -= set(free)
    return ordered


def state_of_target(source: str) -> str:
    """`empty`; `begun` if a copy of `source` can continue; otherwise `other`."""
    connection = connections[TARGET]
    there = set(connection.introspection.table_names())
    if _PROGRESS in there:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT last FROM {_PROGRESS} WHERE name = ''")  # noqa: S608 (our own name)
            return "begun" if cursor.fetchone() == (source,) else "other"
    ours = [model for model in tables() if model._meta.db_table in there]
    # rows that migrations create
    made = {"django_content_type", "auth_permission", "auth_group", "auth_group_permissions",
            "gateway_configstamp"}  # fmt: skip
    filled = any(_count(model, TARGET) for model in ours if model._meta.db_table not in made)
    return "other" if filled else "empty"


def begin(source: str) -> None:
    """Remove the rows that migrations made in the target, and note the source of the copy."""
    names = ", ".join(f'"{model._meta.db_table}"' for model in tables())
    with transaction.atomic(using=TARGET), connections[TARGET].cursor() as cursor:
        cursor.execute(f"TRUNCATE {names}")
        cursor.execute(f"CREATE TABLE {_PROGRESS} (name text PRIMARY KEY, last text NOT NULL)")
        cursor.execute(f"INSERT INTO {_PROGRESS} VALUES ('', %s)", [source])  # noqa: S608 (our own name)


def copy() -> Iterator[Moved]:
    """Copy the missing rows; yields the state of a table after each batch. Raises what a database raises."""
    for model in tables():
        state = Moved(model._meta.db_table)
        last = _last(model)
        for rows in _batches(model, after=last):
            plain, cleaned = _storable(model, rows)
            with transaction.atomic(using=TARGET):
                _insert(model, plain)
                _note(model, rows[-1][_place_of_pk(model)])
            state.rows += len(rows)
            state.cleaned += cleaned
            yield state


def verify() -> Iterator[Moved]:
    """Compare every table, by numbers and digests. Raises CannotMove for the first difference."""
    for model in tables():
        state = Moved(model._meta.db_table)
        whole = hashlib.sha256()
        number = _count(model, "default")
        if number != _count(model, TARGET):
            facts = {"table": state.table, "here": number, "there": _count(model, TARGET)}
            raise CannotMove(_("%(table)s has %(here)d rows here and %(there)d there") % facts)
        place = _place_of_pk(model)
        for rows in _batches(model):
            plain, _cleaned = _storable(model, rows)
            there = {
                _name(row[place]): _digest(row) for row in _rows(model, TARGET, [row[place] for row in rows])
            }
            for row in plain:
                digest = _digest(row)
                if there.get(_name(row[place])) != digest:
                    facts = {"table": state.table, "row": _name(row[place])}
                    raise CannotMove(_("%(table)s: the row %(row)s differs") % facts)
                whole.update(digest)
            state.rows += len(rows)
        state.digest = whole.hexdigest()
        yield state


def finish() -> None:
    """Let new rows get numbers above the copied ones, and remove the note of the copy."""
    connection = connections[TARGET]
    with transaction.atomic(using=TARGET), connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), tables()):
            cursor.execute(statement)
        cursor.execute(f"DROP TABLE {_PROGRESS}")


def _parents(model: type[models.Model]) -> set[Any]:
    return {field.related_model for field in model._meta.concrete_fields if field.is_relation}


def _fields(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    return list(model._meta.concrete_fields)


def _place_of_pk(model: type[models.Model]) -> int:
    return next(at for at, field in enumerate(_fields(model)) if field.primary_key)


def _query(model: type[models.Model], alias: str) -> models.QuerySet[Any, Any]:
    # Django's own manager: the records' managers signal changes of configuration
    names = [field.attname for field in _fields(model)]
    return models.QuerySet(model, using=alias).order_by("pk").values_list(*names)


def _count(model: type[models.Model], alias: str) -> int:
    return models.QuerySet(model, using=alias).count()


def _batches(model: type[models.Model], after: Any = None) -> Iterator[list[tuple[Any, ...]]]:
    place = _place_of_pk(model)
    # rows may refer to their own table: one transaction, which checks references at its end
    size = None if model in _parents(model) else AT_ONCE
    while True:
        query = _query(model, "default")
        rows = list((query if after is None else query.filter(pk__gt=after))[:size])
        if rows:
            yield rows
        if size is None or len(rows) < size:
            return
        after = rows[-1][place]


def _rows(model: type[models.Model], alias: str, keys: Sequence[Any]) -> Iterable[tuple[Any, ...]]:
    return _query(model, alias).filter(pk__in=keys)


def _insert(model: type[models.Model], rows: Sequence[tuple[Any, ...]]) -> None:
    connection = connections[TARGET]
    fields = _fields(model)
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({places})",  # noqa: S608 (our own names)
            [
                [field.get_db_prep_save(value, connection) for field, value in zip(fields, row, strict=True)]
                for row in rows
            ],
        )


def _last(model: type[models.Model]) -> Any:
    with connections[TARGET].cursor() as cursor:
        cursor.execute(f"SELECT last FROM {_PROGRESS} WHERE name = %s", [model._meta.db_table])  # noqa: S608
        found = cursor.fetchone()
    if found is None:
        return None
    value = json.loads(found[0])
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def _note(model: type[models.Model], last: Any) -> None:
    written = json.dumps(last if isinstance(last, int | str) else {"hex": bytes(last).hex()})
    with connections[TARGET].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {_PROGRESS} VALUES (%s, %s)"  # noqa: S608 (our own name)
            " ON CONFLICT (name) DO UPDATE SET last = EXCLUDED.last",
            [model._meta.db_table, written],
        )


def _storable(
    model: type[models.Model], rows: Sequence[tuple[Any, ...]]
) -> tuple[list[tuple[Any, ...]], int]:
    """The rows as PostgreSQL accepts them, and how many had to change, since SQLite accepts more texts."""
    fields = _fields(model)
    plain, cleaned = [], 0
    for row in rows:
        new = tuple(_value(field, value) for field, value in zip(fields, row, strict=True))
        cleaned += new != row
        plain.append(new)
    return plain, cleaned


def _value(field: models.Field[Any, Any], value: Any) -> Any:
    if isinstance(value, str) and isinstance(field, models.CharField | models.TextField):
        return storable_text(value, field.max_length)
    return _json_value(value) if isinstance(field, models.JSONField) else value


def _json_value(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [_json_value(one) for one in value]
    if isinstance(value, dict):
        return {storable_text(name): _json_value(one) for name, one in value.items()}
    return value


def _name(key: Any) -> str:
    return bytes(key).hex() if isinstance(key, bytes | memoryview) else str(key)


def _digest(row: Sequence[Any]) -> bytes:
    return hashlib.sha256(json.dumps([_comparable(value) for value in row], sort_keys=True).encode()).digest()


# larger whole numbers are not exact as floats
_EXACT: Final = 2**53


def _comparable(value: Any) -> Any:
    """A text that is the same for what both databases return for one value."""
    if isinstance(value, bytes | memoryview):
        return hashlib.sha256(bytes(value)).hexdigest()
    if isinstance(value, Sealed):
        return value.token
    if isinstance(value, decimal.Decimal):
        return str(value.normalize())
    if isinstance(value, dict):
        return {name: _comparable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_comparable(one) for one in value]
    if type(value) is int and abs(value) > _EXACT:
        # PostgreSQL's jsonb returns 1e+16 as a whole number
        return float(value)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat()
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return str(value)
    return value
