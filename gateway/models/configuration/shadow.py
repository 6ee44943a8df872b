"""Shadow: another target that a share of a mapping's requests is asked of, too."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from gateway.models.base import ConfigRecord
from gateway.models.configuration.model_mapping import ModelMapping
from gateway.models.configuration.provider import Provider


class Shadow(ConfigRecord):
    """The shadow of a mapping. Its answers stand in the history beside the real ones; no client gets them."""

    edited_with: ClassVar[str] = "mapping"
    field_rights: ClassVar[Mapping[str, str]] = MappingProxyType({"released": "gateway.release_contents"})

    mapping = models.OneToOneField(
        ModelMapping, on_delete=models.CASCADE, related_name="shadow", verbose_name=_("model mapping")
    )
    provider = models.ForeignKey(
        Provider, on_delete=models.CASCADE, related_name="+", verbose_name=_("provider")
    )
    upstream_model = models.CharField(_("upstream model"), max_length=200)
    share = models.FloatField(
        _("share of the requests"),
        validators=[MinValueValidator(0.01), MaxValueValidator(100)],
        help_text=_("Percent."),
    )
    daily_cap = models.DecimalField(
        _("most to spend in a day"),
        max_digits=12,
        decimal_places=4,
        validators=[MinValueValidator(0)],
        help_text=_("US dollars, in a day of UTC. Requests under way may pass it. The target needs a price."),
    )
    concurrency = models.PositiveSmallIntegerField(
        _("at a time"),
        default=2,
        validators=[MinValueValidator(1), MaxValueValidator(32)],
        help_text=_("In one process. What comes while they are under way is left out."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    released = models.BooleanField(
        _("contents released"),
        default=False,
        help_text=_(
            "Requests may go to this provider whoever made them. Otherwise only those whose client key could "
            "have been routed there."
        ),
    )

    class Meta:
        verbose_name = _("shadow")
        verbose_name_plural = _("shadows")
        permissions = [("release_contents", gettext_noop("Can release contents for a shadow"))]

    def __str__(self) -> str:
        return f"{self.upstream_model} @ {self.provider}"
