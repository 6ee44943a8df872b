"""ClientNovelty: a name that a client's release sends and this version of the gateway does not know."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class ClientNovelty(models.Model):
    """`request_id`: the first request that had it. history/record/novelties.py limits the number of rows."""

    class Kind(models.TextChoices):
        BETA = "beta", _("beta")
        FIELD = "field", _("field of the body")
        CLASS = "class", _("class of requests")

    version = models.CharField(_("client version"), max_length=60)
    kind = models.CharField(_("kind"), max_length=5, choices=Kind.choices)
    name = models.CharField(_("name"), max_length=100)
    first_at = models.DateTimeField(_("first seen"))
    request_id = models.CharField(_("first request"), max_length=64)

    class Meta:
        ordering = ["-first_at", "pk"]
        verbose_name = _("new name from a client")
        verbose_name_plural = _("new names from clients")
        constraints = [
            models.UniqueConstraint(fields=["version", "kind", "name"], name="novelty_once"),
        ]

    def __str__(self) -> str:
        return f"{self.version}: {self.name}"
