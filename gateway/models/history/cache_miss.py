"""CacheMiss: a request that was not read from the provider's prompt cache, and why."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from gateway.models.history.request_log import RequestLog


class Culprit(models.TextChoices):
    """Who changed the prompt; the values are those of history/caching/diagnosis.py."""

    CLIENT = "client", _("the client")
    GATEWAY = "gateway", _("the gateway")
    PROVIDER = "provider", _("the provider")
    UNKNOWN = "unknown", _("unknown")


class CacheMiss(models.Model):
    """One row a miss, written by the follow-up (history/caching/stored.py), gone with the request's row.

    `before_id`: the request of the same agent that it is compared with. `item`: what differs first, ""
    when nothing does; `place`: which message or block, from 0. `reason`: a word of
    history/caching/diagnosis.py, or a note of the ledger. `source`: whose tools changed, an MCP server or
    names of tools. `tokens` that would have been read, and `money` in US dollars; null: unpriced.
    """

    log = models.OneToOneField(
        RequestLog,
        to_field="request_id",
        db_column="request_id",
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="cache_miss",
    )
    before_id = models.CharField(max_length=64)
    started_at = models.DateTimeField(_("when"), db_index=True)
    session_id = models.CharField(_("session"), max_length=128, db_index=True)
    culprit = models.CharField(_("who changed it"), max_length=10, choices=Culprit.choices)
    item = models.CharField(max_length=30, blank=True, default="")
    place = models.PositiveIntegerField(null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=200)
    source = models.CharField(max_length=200, blank=True, default="")
    tokens = models.PositiveBigIntegerField(_("tokens lost"))
    money = models.DecimalField(_("money lost"), max_digits=20, decimal_places=10, null=True, blank=True)

    class Meta:
        ordering = ["-started_at", "-pk"]
        verbose_name = _("cache miss")
        verbose_name_plural = _("cache misses")

    def __str__(self) -> str:
        return self.log_id
