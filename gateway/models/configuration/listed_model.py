"""ListedModel: the sizes of one model according to a provider's list of models."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from gateway.models.base import ConfigRecord
from gateway.models.configuration.provider import Provider


class ListedModel(ConfigRecord):
    """An upstream model of a provider, as last listed (written by config/snapshot/model_sizes.py).

    Sizes in tokens, null where the list does not give them.
    """

    # not a user's change: it comes from the provider
    logged: ClassVar[bool] = False

    provider = models.ForeignKey(
        Provider, on_delete=models.CASCADE, related_name="listed_models", verbose_name=_("provider")
    )
    upstream_model = models.CharField(_("upstream model"), max_length=200)
    context_window = models.PositiveIntegerField(_("context window"), null=True, blank=True)
    max_output_tokens = models.PositiveIntegerField(_("max output tokens"), null=True, blank=True)

    class Meta:
        default_permissions = ()
        ordering = ["provider", "upstream_model"]
        verbose_name = _("listed model")
        verbose_name_plural = _("listed models")
        constraints = [
            models.UniqueConstraint(fields=["provider", "upstream_model"], name="model_listed_once"),
        ]

    def __str__(self) -> str:
        return f"{self.upstream_model} @ {self.provider}"
