"""Empties the database after a test that commits, at the price of what the test wrote.

Django's `flush` empties every table, and makes content types, permissions and groups anew by the signal
`post_migrate`: 70 ms of CPU on SQLite, after each of several hundred tests. Most tests
leave rows in a few tables and do not touch those that the signal fills.
"""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.test import TransactionTestCase

# what `post_migrate` fills: a test that changes them gets the real flush
FILLED = (ContentType, Permission, Group, Group.permissions.through)

# the rows of FILLED after the first real flush
_filled: list[object] = []


def install() -> None:
    """Have every test that commits end with `emptied` instead of a flush."""

    def teardown(case: TransactionTestCase) -> None:
        assert not (case.available_apps or case.serialized_rollback or case.databases - {DEFAULT_DB_ALIAS})
        emptied()

    TransactionTestCase._fixture_teardown = teardown


def emptied() -> None:
    """Leave the default database as Django's flush does."""
    if not _filled or _filled != _rows():
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)
        _filled[:] = _rows()
        return
    kept = {model._meta.db_table for model in FILLED}
    with transaction.atomic(), connection.cursor() as cursor:
        for table in _not_empty() - kept:
            # constraints are looked at when all of them are empty
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


def _rows() -> list[object]:
    return [list(model.objects.order_by("pk").values_list()) for model in FILLED]


def _not_empty() -> set[str]:
    quoted = connection.ops.quote_name
    names = connection.introspection.django_table_names(include_views=False)
    looks = [f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {quoted(name)})" for name in names]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        return {name for (name,) in cursor.fetchall()}
