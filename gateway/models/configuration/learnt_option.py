"""LearntOption: a profile option learnt from a provider's refusals, and an admin's decision on it."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from gateway.models.base import ConfigRecord


class Decision(models.TextChoices):
    """An admin's decision on a proposal."""

    PROPOSED = "proposed", _("waits for you")
    CONFIRMED = "confirmed", _("confirmed")
    REFUSED = "refused", _("refused")


class LearntOption(ConfigRecord):
    """One option of one upstream model of one provider (its slug); config/learnt_options.py writes it.

    A proposal is in force in the processes that learnt it. Confirmed, it is a layer of the
    profile in all of them; refused, the option is never learnt for this model again.
    `old_json` and `new_json` are values of the option as JSON. `mapping_pk`: the mapping
    whose request taught it first. `times` and `last_at`: how often a process learnt it anew.
    """

    stampless_fields: ClassVar[frozenset[str]] = frozenset({"words", "last_at", "times"})

    provider = models.CharField(_("provider"), max_length=50)
    upstream_model = models.CharField(_("upstream model"), max_length=200)
    option = models.CharField(_("option"), max_length=40)
    old_json = models.CharField(_("before"), max_length=300)
    new_json = models.CharField(_("learnt value"), max_length=300)
    words = models.CharField(_("the provider's words"), max_length=500, blank=True, default="")
    mapping_pk = models.BigIntegerField(_("mapping"), null=True, blank=True, db_index=True)
    first_at = models.DateTimeField(_("learnt first"), auto_now_add=True)
    last_at = models.DateTimeField(_("learnt last"))
    times = models.PositiveIntegerField(_("times"), default=1)
    decision = models.CharField(
        _("decision"), max_length=10, choices=Decision.choices, default=Decision.PROPOSED
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name=_("decided by"),
    )

    class Meta:
        ordering = ["provider", "upstream_model", "option", "-first_at"]
        verbose_name = _("learnt option")
        verbose_name_plural = _("learnt options")
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "upstream_model", "option", "new_json"], name="option_learnt_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.upstream_model} @ {self.provider}: {self.option} = {self.new_json}"

    @property
    def old(self) -> Any:
        return json.loads(self.old_json)

    @property
    def new(self) -> Any:
        return json.loads(self.new_json)

    def decide(self, decision: str, user: Any = None) -> None:
        """Store an admin's decision. A confirmed value replaces one confirmed earlier."""
        with transaction.atomic():
            if decision == Decision.CONFIRMED:
                same = LearntOption.objects.filter(
                    provider=self.provider, upstream_model=self.upstream_model, option=self.option
                )
                same.exclude(pk=self.pk).delete()
            self.decision = decision
            self.decided_at = timezone.now()
            self.decided_by = user
            self.save(update_fields=["decision", "decided_at", "decided_by"])
