"""A model's row written by one statement, which is built once from the model's fields.

Django's bulk_create builds it anew for each batch, at ten times the cost of running it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter, gt, itemgetter
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import (
    CharField,
    DateTimeField,
    DecimalField,
    Field,
    JSONField,
    Model,
    PositiveIntegerField,
    TextField,
)

from gateway.history.statements import Statement
from gateway.wire import jsontext

# what the columns of PostgreSQL hold
LARGEST: Final = 2**31 - 1
# the JSON of the lists of most rows
_NO_ITEMS: Final = "[]"


class Upsert:
    """INSERT ... ON CONFLICT of one row of a model: a later write replaces the earlier one.

    `more`: columns that the facts do not have; `kept`: nullable ones that somebody else writes. A row
    has some forty values and is made for each exchange, so what can be done with all of them in one call is.
    """

    def __init__(
        self, model: type[Model], key: Sequence[str], more: Sequence[str] = (), kept: Sequence[str] = ()
    ) -> None:
        written = (field for field in model._meta.concrete_fields if field.attname not in kept)
        fields = {field.attname: field for field in written if not field.primary_key}
        fields = {name: fields[name] for name in (*(name for name in fields if name not in more), *more)}
        self._names = tuple(fields)
        self._more = tuple(more)
        self._of_facts = attrgetter(*self._names[: len(fields) - len(more)])
        texts = {name: field for name, field in fields.items() if isinstance(field, CharField | TextField)}
        self._texts = tuple(texts)
        self._of_texts = itemgetter(*texts)
        self._longest = [field.max_length or sys.maxsize for field in texts.values()]
        ints = [name for name, field in fields.items() if isinstance(field, PositiveIntegerField)]
        self._of_ints = itemgetter(*ints)
        self._lists = [name for name, field in fields.items() if isinstance(field, JSONField)]
        # where there is a value that the driver does not take as it is
        self._special = [
            (place, _PREPARED[type(field)], field)
            for place, field in enumerate(fields.values())
            if type(field) in _PREPARED
        ]
        columns = [field.column for field in fields.values()]
        updates = ", ".join(f'"{column}" = excluded."{column}"' for column in columns if column not in key)
        names = ", ".join(f'"{column}"' for column in columns)
        places = ", ".join(["%s"] * len(columns))
        insert = f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({places})'  # noqa: S608 (our columns)
        keys = ", ".join(f'"{column}"' for column in key)
        self.statement = Statement(f"{insert} ON CONFLICT ({keys}) DO UPDATE SET {updates}")

    def stored(self, facts: object, **more: Any) -> dict[str, Any]:
        """The row's values by column, in the order of the statement, as they will be read again.

        Raises ValueError for a number that only SQLite would take.
        """
        last = [more[name] for name in self._more]
        values: dict[str, Any] = dict(zip(self._names, (*self._of_facts(facts), *last), strict=True))
        texts = self._of_texts(values)
        # PostgreSQL takes neither NUL characters nor over-long text
        if "\x00" in "".join(texts) or any(map(gt, map(len, texts), self._longest)):
            for name, text, longest in zip(self._texts, texts, self._longest, strict=True):
                values[name] = text.replace("\x00", "\ufffd")[:longest]
        ints = self._of_ints(values)
        # most numbers are 0 or None
        if any(ints) and not 0 < min(filter(None, ints)) <= max(filter(None, ints)) <= LARGEST:
            raise ValueError("a number is out of range")
        for name in self._lists:
            if values[name]:
                values[name] = _without_nul(values[name])
        return values

    def values(self, stored: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
        """Rows from `stored`, as the database's driver takes them."""
        database = connections[DEFAULT_DB_ALIAS]
        rows = [list(row.values()) for row in stored]
        for place, prepared, field in self._special:
            for row in rows:
                if row[place] is not None:
                    row[place] = prepared(field, row[place], database)
        return rows


def _json_text(_field: Field[Any, Any], value: Any, _database: object) -> str:
    return jsontext.dumps_text(value) if value or type(value) is dict else _NO_ITEMS


def _moment(field: Field[Any, Any], value: datetime, database: Any) -> Any:
    if value.tzinfo is UTC and database.vendor == "sqlite" and database.timezone is UTC:
        # equal to Django's result, in a fifth of the time
        return value.isoformat(" ")[:-6]
    return field.get_db_prep_save(value, database)


def _without_nul(value: Any) -> Any:
    text = jsontext.dumps(value) if value else b""
    return jsontext.loads(text.replace(b"\\u0000", b"\\ufffd")) if b"\\u0000" in text else value


_PREPARED: Final[dict[type[Field[Any, Any]], Callable[[Any, Any, Any], Any]]] = {
    JSONField: _json_text,
    DateTimeField: _moment,
    DecimalField: DecimalField.get_db_prep_save,
}
