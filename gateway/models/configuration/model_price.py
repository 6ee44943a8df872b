"""ModelPrice: what an upstream model costs, where an admin knows better than the catalogue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from gateway.models.base import ConfigRecord
from gateway.models.configuration.provider import Provider

_NOT_NEGATIVE: Final = [MinValueValidator(Decimal(0))]
TIER_RATES: Final = ("input", "output", "cache_read", "cache_write", "cache_write_1h")


def _rate(label: Any, help_text: Any = "", **options: Any) -> models.DecimalField:
    return models.DecimalField(
        label, max_digits=14, decimal_places=6, validators=_NOT_NEGATIVE, help_text=help_text, **options
    )


class ModelPrice(ConfigRecord):
    """Rates are US dollars per million tokens; `request` is US dollars per request.

    It is in force from `valid_from` (included) until `valid_to` (excluded). `tiers` is a list
    of objects {"above": tokens of the prompt, "input": rate, ...}, in any order; rates that a
    tier does not name are unchanged.
    """

    provider = models.ForeignKey(
        Provider,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="prices",
        verbose_name=_("provider"),
        help_text=_("Empty: every provider."),
    )
    model = models.CharField(
        _("upstream model"),
        max_length=200,
        help_text=_("The name sent to the provider; * stands for any text. Case does not matter."),
    )
    input = _rate(_("input"))
    output = _rate(_("output"))
    cache_read = _rate(_("read from cache"), _("Empty: as input."), null=True, blank=True)
    cache_write = _rate(_("written to cache"), _("Empty: as input."), null=True, blank=True)
    cache_write_1h = _rate(
        _("written to cache for an hour"), _("Empty: as written to cache."), null=True, blank=True
    )
    request = _rate(_("per request"), _("US dollars for each request."), default=Decimal(0))
    tiers = models.JSONField(
        _("tiers"),
        default=list,
        blank=True,
        help_text=_(
            'Other rates for long prompts: [{"above": 200000, "input": 6, "output": 22.5}]. '
            "A rate that is not named stays as above."
        ),
    )
    valid_from = models.DateTimeField(_("valid from"), null=True, blank=True, help_text=_("Empty: always."))
    valid_to = models.DateTimeField(
        _("valid to"), null=True, blank=True, help_text=_("Excluded. Empty: until further notice.")
    )
    note = models.CharField(_("note"), max_length=500, blank=True, default="")

    class Meta:
        ordering = ["model", "-valid_from", "pk"]
        verbose_name = _("model price")
        verbose_name_plural = _("model prices")

    def __str__(self) -> str:
        return f"{self.model}: {self.input:f} / {self.output:f}"

    def clean(self) -> None:
        super().clean()
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValidationError({"valid_to": _("This is not after the beginning.")})
        problem = tiers_problem(self.tiers)
        if problem:
            raise ValidationError({"tiers": problem})


def tiers_problem(tiers: Any) -> Any:
    """What is wrong with a list of tiers, as a sentence; "" when nothing is."""
    if not isinstance(tiers, list) or not all(isinstance(tier, dict) for tier in tiers):
        return _('Enter a list of objects, for example [{"above": 200000, "input": 6}].')
    for tier in tiers:
        above = tier.get("above")
        if type(above) is not int or above < 1:
            return _('Each tier needs "above": a whole number of tokens.')
        for name, rate in tier.items():
            if name == "above":
                continue
            if name not in TIER_RATES:
                return _("%(name)s is no rate; use one of %(rates)s.") % {
                    "name": name,
                    "rates": ", ".join(TIER_RATES),
                }
            if isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 0:
                return _("%(name)s must be a number, 0 or more.") % {"name": name}
    return ""
