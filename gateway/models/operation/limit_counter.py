"""Counters and holds shared by all processes when limits of client keys are counted in the database."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models


class LimitCounter(models.Model):
    """What requests add to; `expires` (Unix seconds) says until when it means something.

    `held`: by requests under way, where they hold what they may use. `reconciled`: when the two were last
    compared with the history, in Unix milliseconds. gateway/limits/database_store.py writes it; names are
    made in gateway/limits/meters.py.
    """

    name = models.CharField(max_length=100, primary_key=True)
    value = models.BigIntegerField(default=0)
    # the database's own default, because processes of the previous version may still write
    held = models.BigIntegerField(default=0, db_default=0)
    reconciled = models.BigIntegerField(default=0, db_default=0)
    expires = models.BigIntegerField(db_index=True)

    class Meta:
        # no page shows these records, so there are no permissions for them
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class LimitHold(models.Model):
    """What one request holds of a counter, or has used of it once it has `ended`.

    Removed when the history counts the request; ignored after `expires` (Unix seconds).
    """

    account = models.CharField(max_length=100)
    request = models.CharField(max_length=64)
    amount = models.BigIntegerField()
    ended = models.BooleanField(default=False)
    expires = models.BigIntegerField(db_index=True)

    class Meta:
        # no page shows these records, so there are no permissions for them
        default_permissions = ()
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["account", "request"], name="limit_hold")
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.request}"
