"""Leavers: what becomes of client keys when the account of their owner changes.

A key of somebody who may not log in is refused. The configuration in memory hears of it as of every
change, by its stamp; accounts, however, are Django's records and may be written past its signals
(`QuerySet.update`, a script with SQL). So the database itself moves the stamp, by a trigger.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import connections, transaction
from django.db.models.signals import post_migrate, pre_delete, pre_migrate

from gateway.config.changes import note_account
from gateway.models import ClientKey, ConfigStamp

TRIGGER: Final = "gateway_accounts_move_stamp"
_MOVE: Final = """
    INSERT INTO {stamp} (id, value) VALUES ({row}, 1)
    ON CONFLICT (id) DO UPDATE SET value = {stamp}.value + 1;
"""
_SQLITE: Final = (
    "DROP TRIGGER IF EXISTS {trigger}",
    """
    CREATE TRIGGER {trigger} AFTER UPDATE OF is_active, username ON {accounts}
    WHEN OLD.is_active IS NOT NEW.is_active OR OLD.username IS NOT NEW.username
    BEGIN {move} END
    """,
)
_POSTGRESQL: Final = (
    """
    CREATE OR REPLACE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN {move} RETURN NULL; END $$
    """,
    """
    CREATE OR REPLACE TRIGGER {trigger} AFTER UPDATE OF is_active, username ON {accounts} FOR EACH ROW
    WHEN (OLD.is_active IS DISTINCT FROM NEW.is_active OR OLD.username IS DISTINCT FROM NEW.username)
    EXECUTE FUNCTION {trigger}()
    """,
)


def watch_accounts(using: str, **_: Any) -> None:
    """After `migrate`: have the database move the stamp when an account is another one now."""
    connection = connections[using]
    tables = connection.introspection.table_names()
    if connection.vendor not in ("sqlite", "postgresql") or ConfigStamp._meta.db_table not in tables:
        return
    names = {
        "trigger": TRIGGER,
        "accounts": get_user_model()._meta.db_table,
        "stamp": ConfigStamp._meta.db_table,
        "row": ConfigStamp.ROW,
    }
    names["move"] = _MOVE.format(**names)
    with transaction.atomic(using=using), connection.cursor() as cursor:
        for statement in _SQLITE if connection.vendor == "sqlite" else _POSTGRESQL:
            cursor.execute(statement.format(**names))


def leave_accounts_alone(using: str, **_: Any) -> None:
    """Before `migrate`: SQLite makes a table anew to alter it, and fails where a trigger names that table."""
    if connections[using].vendor == "sqlite":
        with connections[using].cursor() as cursor:
            cursor.execute(f"DROP TRIGGER IF EXISTS {TRIGGER}")


def revoke_keys_of(instance: Any, using: str, **_: Any) -> None:
    """An account is about to be deleted: without an owner its keys would go on working."""
    for key in ClientKey.objects.using(using).filter(user_id=instance.pk, revoked_at=None):
        key.revoke()


def set_active(username: str, active: bool) -> bool:
    """Let a person in, or not any more, as the page of the user does. False: nobody has that name."""
    with transaction.atomic():
        user = get_user_model().objects.select_for_update().filter(username=username).first()
        if user is not None and user.is_active != active:
            user.is_active = active
            user.save(update_fields=["is_active"])
            note_account(user, "is_active", not active, active)
    return user is not None


def connect() -> None:
    """Listen to migrations and to accounts that are deleted."""
    pre_migrate.connect(leave_accounts_alone, dispatch_uid="gateway.leave_accounts_alone")
    post_migrate.connect(watch_accounts, dispatch_uid="gateway.watch_accounts")
    pre_delete.connect(revoke_keys_of, sender=get_user_model(), dispatch_uid="gateway.revoke_keys_of")
