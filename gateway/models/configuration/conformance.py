"""ConformanceRun: one examination of a model. CapabilityResult: what it found of one capability."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from gateway.models.configuration.provider import Provider

# a run without progress for so long died with its process
SILENT_AFTER: Final = timedelta(minutes=15)


class ConformanceRun(models.Model):
    """`ended_at` is empty while it runs; `note` says why it ended early."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="conformance_runs")
    upstream_model = models.CharField(_("upstream model"), max_length=200)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    started_at = models.DateTimeField(auto_now_add=True)
    heard_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["-started_at", "-pk"]
        verbose_name = _("conformance run")
        verbose_name_plural = _("conformance runs")

    def __str__(self) -> str:
        return f"{self.upstream_model} @ {self.provider}"

    @property
    def is_running(self) -> bool:
        return self.ended_at is None and timezone.now() - self.heard_at < SILENT_AFTER


class CapabilityResult(models.Model):
    """`capability`, `outcome`, `code` and `proposal` are those of upstream/trial/conformance.py."""

    run = models.ForeignKey(ConformanceRun, on_delete=models.CASCADE, related_name="results")
    capability = models.CharField(max_length=40)
    outcome = models.CharField(max_length=10)
    code = models.CharField(max_length=40, blank=True, default="")
    detail = models.CharField(max_length=400, blank=True, default="")
    milliseconds = models.PositiveIntegerField(default=0)
    proposal = models.JSONField(default=dict, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        verbose_name = _("capability")
        verbose_name_plural = _("capabilities")
        constraints = [models.UniqueConstraint(fields=["run", "capability"], name="capability_once_a_run")]

    def __str__(self) -> str:
        return f"{self.capability}: {self.outcome}"
