"""ServingProcess: a process that serves now, so that others know whose open exchanges still have an owner."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class ServingProcess(models.Model):
    """`name` stands in the rows that the process opens. `machine`: the host and folder where its lock is.

    `seen_at` is the database's clock. history/record/processes.py writes and reads these.
    """

    name = models.CharField(max_length=80, unique=True)
    machine = models.CharField(max_length=300)
    started_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField()

    class Meta:
        # no page shows these records, so there are no permissions for them
        default_permissions = ()
        ordering = ["started_at"]
        verbose_name = _("serving process")
        verbose_name_plural = _("serving processes")

    def __str__(self) -> str:
        return self.name
