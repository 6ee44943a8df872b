"""FormerUse: what a client key used before it was given to somebody else."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models


class FormerUse(models.Model):
    """What a key used on a day for an owner before its present one; budgets of people count it for them.

    `owner_id` is the primary key of a user, 0 for nobody; `hour` the first of the day, since 1970, and
    `cost_units` as in DailyTotal. `tokens` are all. gateway/limits/former_use.py writes it.
    """

    client_key_pk = models.BigIntegerField()
    owner_id = models.BigIntegerField()
    hour = models.PositiveIntegerField()
    cost_units = models.BigIntegerField(default=0)
    tokens = models.BigIntegerField(default=0)

    class Meta:
        # no page shows these records, so there are no permissions for them
        default_permissions = ()
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["client_key_pk", "owner_id", "hour"], name="former_use_once")
        ]
        indexes: ClassVar[list[Any]] = [models.Index(fields=["owner_id", "hour"], name="former_use_of_owner")]

    def __str__(self) -> str:
        return f"{self.client_key_pk} of {self.owner_id}, {self.hour}"
