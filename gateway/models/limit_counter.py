"""Counters and places that all processes share while limits of client keys are counted in the database."""

from __future__ import annotations

from django.db import models


class LimitCounter(models.Model):
    """One number that requests add to; `expires` (Unix seconds) says until when it means something.

    gateway/limits/database_store.py writes it; names are made in gateway/limits/meters.py.
    """

    name = models.CharField(max_length=100, primary_key=True)
    value = models.BigIntegerField(default=0)
    expires = models.BigIntegerField(db_index=True)

    class Meta:
        # no page has these records, and nobody is given rights over them
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class LimitPlace(models.Model):
    """One of the places that a key's concurrent requests take; free when `expires` is over."""

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=64)
    expires = models.BigIntegerField(db_index=True)

    class Meta:
        # no page has these records, and nobody is given rights over them
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
