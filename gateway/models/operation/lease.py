"""Lease: which process does what only one may do at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from django.db import models
from django.db.models import Q


class Lease(models.Model):
    """One row per task; whoever moved `until` last does it, until then."""

    name = models.CharField(max_length=40, primary_key=True)
    holder = models.CharField(max_length=80, blank=True, default="")
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        # no page has these records, and nobody is given rights over them
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return self.name

    @classmethod
    def take(cls, name: str, holder: str, now: datetime, length: timedelta) -> bool:
        """Whether `holder` has the task until `now + length`. Raises what the database raises."""
        cls.objects.get_or_create(name=name)
        free = Q(until=None) | Q(until__lte=now) | Q(holder=holder)
        return bool(cls.objects.filter(free, name=name).update(holder=holder, until=now + length))
