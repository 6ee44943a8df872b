"""Problem: failures of one kind, and what people decided about it. ProblemHour: when, and whom they hit."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class ProblemState(models.TextChoices):
    """`resolved` opens again with the next failure; `ignored` does so when its time is over."""

    OPEN = "open", _("open")
    RESOLVED = "resolved", _("resolved")
    IGNORED = "ignored", _("ignored")


class Problem(models.Model):
    """Failures with the same provider, model, error type and message; gateway/watch/problems.py counts them.

    `fingerprint` is made of these four. `message` has `…` for what differs between failures of one kind;
    `sample` is the newest of them as it was. `ignored_until` null: until somebody opens it again.
    `is_back`: it was resolved, and has failed since.
    """

    fingerprint = models.CharField(max_length=64, unique=True)
    provider = models.CharField(_("provider"), max_length=50, blank=True, default="")
    model = models.CharField(_("model"), max_length=200, blank=True, default="")
    error_type = models.CharField(_("error type"), max_length=60, blank=True, default="")
    message = models.CharField(_("message"), max_length=300, blank=True, default="")
    sample = models.CharField(max_length=1000, blank=True, default="")
    state = models.CharField(
        _("state"), max_length=10, choices=ProblemState.choices, default=ProblemState.OPEN
    )
    is_back = models.BooleanField(default=False)
    ignored_until = models.DateTimeField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    first_at = models.DateTimeField(_("first"))
    last_at = models.DateTimeField(_("last"))
    times = models.PositiveBigIntegerField(_("times"), default=0)

    class Meta:
        ordering: ClassVar[list[str]] = ["-last_at", "-pk"]
        verbose_name = _("problem")
        verbose_name_plural = _("problems")
        indexes: ClassVar[list[Any]] = [
            models.Index(fields=["state", "-last_at"], name="problem_state_last"),
            models.Index(fields=["-last_at"], name="problem_last"),
        ]

    def __str__(self) -> str:
        return f"{self.error_type or _('failure')}: {self.message}"[:200]


class ProblemHour(models.Model):
    """How often a problem hit one key and its owner in one hour. `hour` counts from 1970; 0: nobody known."""

    problem = models.ForeignKey(Problem, on_delete=models.CASCADE, related_name="hours")
    hour = models.PositiveIntegerField()
    client_key_pk = models.BigIntegerField(default=0)
    owner_id = models.BigIntegerField(default=0)
    times = models.PositiveIntegerField(default=0)

    class Meta:
        # no page has these records, and nobody is given rights over them
        default_permissions = ()
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["problem", "hour", "client_key_pk", "owner_id"], name="problem_hour_slot"
            )
        ]
        indexes: ClassVar[list[Any]] = [models.Index(fields=["hour"], name="problem_hour_hour")]

    def __str__(self) -> str:
        return f"{self.problem_id} {self.hour}"
