"""RefusedKey: how often a client key was shown and refused."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class Reason(models.TextChoices):
    """routing.snapshot.KeyRefusal, in words."""

    EXPIRED = "expired", _("expired")
    REVOKED = "revoked", _("revoked")
    DELETED = "deleted", _("deleted")
    OWNER_INACTIVE = "owner_inactive", _("owner inactive")
    UNKNOWN = "unknown", _("not known here")


class RefusedKey(models.Model):
    """The refusals of one key for one reason on one day (UTC); gateway/history/refused_keys.py counts them.

    `client_key_pk` is 0 for a key that is not known here; of such a key nothing but `prefix` is kept, and
    that only of one in the form of keys that were issued here.
    """

    SLOT: ClassVar[tuple[str, ...]] = ("day", "client_key_pk", "prefix", "reason")

    day = models.DateField(_("day"))
    client_key_pk = models.BigIntegerField(default=0)
    prefix = models.CharField(_("key"), max_length=12, blank=True, default="")
    reason = models.CharField(_("reason"), max_length=20, choices=Reason.choices)
    times = models.PositiveIntegerField(_("times"), default=0)
    first_at = models.DateTimeField(_("first"))
    last_at = models.DateTimeField(_("last"))
    last_address = models.CharField(_("last address"), max_length=64, blank=True, default="")

    class Meta:
        ordering: ClassVar[list[str]] = ["-last_at", "-pk"]
        verbose_name = _("refused key")
        verbose_name_plural = _("refused keys")
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["day", "client_key_pk", "prefix", "reason"], name="refused_key_slot"
            )
        ]
        indexes: ClassVar[list[Any]] = [
            models.Index(fields=["-last_at"], name="refused_key_last"),
            models.Index(fields=["client_key_pk", "-day"], name="refused_key_of"),
        ]

    def __str__(self) -> str:
        return f"{self.prefix or '…'} {self.reason}"
