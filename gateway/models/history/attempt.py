"""Attempt: one try at one provider inside an exchange."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from gateway.models.history.request_log import RequestLog


class AttemptState(models.TextChoices):
    """How an attempt ended."""

    OK = "ok", _("answered")
    ERROR = "error", _("failed")
    CANCELLED = "cancelled", _("cancelled by client")
    BROKEN = "broken", _("broken by the provider")
    INTERRUPTED = "interrupted", _("interrupted by a restart")


class NextStep(models.TextChoices):
    """What followed an attempt."""

    NOTHING = "", _("nothing")
    ANSWERED = "answered", _("its answer went to the client")
    AGAIN = "again", _("tried again")
    LEARNT = "learnt", _("tried again with an option changed")
    CREDENTIAL = "credential", _("tried with another credential")
    TARGET = "target", _("tried at the next target")
    GAVE_UP = "gave_up", _("the client was told the error")


class Attempt(models.Model):
    """One row per call of a provider, in the order of `number`, which counts from 1.

    Names are copies, as in RequestLog. `credential` is a label, never the secret.
    `status` is the provider's HTTP status, null without an answer. `first_byte_ms`
    and `duration_ms` count from the start of the attempt; `pause_ms` is the wait
    after it.
    """

    log = models.ForeignKey(
        RequestLog,
        to_field="request_id",
        db_column="request_id",
        on_delete=models.CASCADE,
        related_name="tries",
        # the unique constraint's index starts with it
        db_index=False,
    )
    number = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField()
    provider = models.CharField(max_length=50)
    upstream_model = models.CharField(max_length=200)
    credential = models.CharField(max_length=60, blank=True, default="")
    state = models.CharField(max_length=12, choices=AttemptState.choices)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    error_type = models.CharField(max_length=60, blank=True, default="")
    error_message = models.CharField(max_length=1000, blank=True, default="")
    first_byte_ms = models.PositiveIntegerField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    next_step = models.CharField(max_length=12, choices=NextStep.choices, blank=True, default="")
    pause_ms = models.PositiveIntegerField(null=True, blank=True)
    upstream_request_id = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["log", "number"]
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = [models.UniqueConstraint(fields=["log", "number"], name="attempt_number")]

    def __str__(self) -> str:
        return f"{self.log_id} {self.number}"
