"""SetAsideTarget: a target that one process skips for a while, shown to admins."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class SetAsideTarget(models.Model):
    """One row per process and target while it is set aside; removed when it is back.

    Each process decides for itself, from its own attempts; the rows inform people and are
    not its memory. `credential` is a label: the limit of one credential at this
    target; empty for the target as a whole. `until`: when it is probed, or the limit ends.
    """

    process = models.CharField(max_length=60)
    provider = models.CharField(max_length=50, db_index=True)
    upstream_model = models.CharField(max_length=200)
    credential = models.CharField(max_length=60, blank=True, default="")
    since = models.DateTimeField()
    until = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True, default="")
    failures = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("set aside target")
        verbose_name_plural = _("set aside targets")
        ordering = ["provider", "upstream_model", "credential", "process"]
        constraints = [
            models.UniqueConstraint(
                fields=["process", "provider", "upstream_model", "credential"], name="set_aside_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.upstream_model} @ {self.provider}"
