"""What holds for a person, over all keys and sign-ins: the policy of their clients, and their limits."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from gateway.client_protocol.managed_settings import problem_of
from gateway.models.base import ConfigRecord
from gateway.models.configuration.client_key import LimitFields


class ManagedPolicy(ConfigRecord):
    """A Claude Code settings file for signed-in clients: of everyone, of a group, or of one person.

    They are laid over each other in this order, and by position among those of one kind.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    group = models.ForeignKey(
        "auth.Group",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        verbose_name=_("group"),
        help_text=_("Only for its members. Without group and person: for everyone."),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, verbose_name=_("person")
    )
    position = models.IntegerField(_("position"), default=0, help_text=_("Later ones win."))
    settings = models.JSONField(
        _("settings"), default=dict, blank=True, help_text=_("A settings file of Claude Code, as JSON.")
    )
    lists_models = models.BooleanField(
        _("list the models"),
        default=False,
        # processes of the release before insert policies without it
        db_default=False,
        help_text=_(
            "Hands out the models of /model with their prices, as they follow from the mappings and prices "
            "here. What the settings below say wins."
        ),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    note = models.CharField(_("note"), max_length=500, blank=True, default="")

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = _("client policy")
        verbose_name_plural = _("client policies")
        constraints: ClassVar[list[Any]] = [
            models.CheckConstraint(condition=Q(group=None) | Q(user=None), name="policy_of_one_kind")
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        if self.group_id is not None and self.user_id is not None:
            raise ValidationError(_("Choose a group or a person, not both."))
        problem = problem_of(self.settings)
        if problem:
            raise ValidationError(
                {"settings": _("This is no settings file: %(problem)s.") % {"problem": problem}}
            )


class PersonBudget(ConfigRecord, LimitFields):
    """What a person may use, over all keys and sign-ins, beside what each key may: rates, budgets, models.

    `correction` is booked beside what requests cost, for the period that began at `corrected_period`
    (billionths of a US dollar); `revision` moves with it, so that every process counts anew at once.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="gateway_budget",
        verbose_name=_("person"),
    )
    allowed_models = models.JSONField(
        default=list,
        # processes of the release before insert budgets without it
        db_default=[],
        blank=True,
        verbose_name=_("allowed models"),
        help_text=_("Names or patterns with * of the models they may ask for. Empty: all."),
    )
    correction = models.BigIntegerField(_("correction"), default=0, editable=False)
    corrected_period = models.DateTimeField(_("corrected period"), null=True, blank=True, editable=False)
    revision = models.PositiveIntegerField(_("revision"), default=0, editable=False)

    class Meta:
        verbose_name = _("limits of a person")
        verbose_name_plural = _("limits of people")

    def __str__(self) -> str:
        return str(self.user)
