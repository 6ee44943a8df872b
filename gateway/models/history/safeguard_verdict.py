"""SafeguardVerdict: what was said of one tool call of an answer, to a client that asked for it."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from gateway.models.history.request_log import RequestLog

BLOCKED: Final = Q(decision="deny")


class VerdictWord(models.TextChoices):
    """What a call was told; the values are those of safeguards.rules."""

    ALLOW = "allow", _("allowed")
    DENY = "deny", _("blocked")
    UNDECIDED = "undecided", _("undecided")


class SafeguardVerdict(models.Model):
    """One row a call, in the order of the answer. What the call does stands in the request's contents alone.

    `reason`: why it was blocked, masked; only where contents are kept, since a model's words may quote them.
    It goes when they go.

    `rule_id` is a copy of the primary key, null when no rule decided. `model`: the one that was asked, in the
    request `check_id`, which has its cost; `took_ms`: how long it took. `unavailable`: why there is no
    verdict (client_protocol.safeguards.Unavailable).
    """

    log = models.ForeignKey(
        RequestLog,
        to_field="request_id",
        db_column="request_id",
        on_delete=models.CASCADE,
        related_name="verdicts",
        # the unique constraint's index starts with it
        db_index=False,
    )
    number = models.PositiveSmallIntegerField()
    at = models.DateTimeField(_("when"))
    tool = models.CharField(_("tool"), max_length=200)
    decision = models.CharField(_("decision"), max_length=10, choices=VerdictWord.choices)
    rule_id = models.BigIntegerField(_("rule"), null=True, blank=True)
    model = models.CharField(_("model"), max_length=200, blank=True, default="")
    unavailable = models.CharField(_("reason"), max_length=20, blank=True, default="")
    # processes of the release before insert verdicts without it
    reason = models.CharField(_("reason of the block"), max_length=500, blank=True, default="", db_default="")
    took_ms = models.PositiveIntegerField(null=True, blank=True)
    check_id = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name = _("safety verdict")
        verbose_name_plural = _("safety verdicts")
        constraints = [models.UniqueConstraint(fields=["log", "number"], name="verdict_number")]
        indexes = [
            models.Index(fields=["at"], name="verdict_blocked", condition=BLOCKED),
            models.Index(fields=["rule_id"], name="verdict_rule", condition=~Q(rule_id=None)),
        ]

    def __str__(self) -> str:
        return f"{self.log_id} {self.number}"
