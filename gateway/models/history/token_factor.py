"""TokenFactor: how a provider's token count relates to ours, learnt from the history."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from gateway.models.base import ConfigRecord


class TokenFactor(ConfigRecord):
    """One upstream model of one provider (its slug). history/totals/token_factors.py writes it.

    What the provider counts is `factor` times what our vocabulary counts, and `overhead`
    tokens for each request. A token of ours in letters of other alphabets costs `letters`
    times one of the rest, in Chinese, Japanese and Korean `cjk` times. Only these are configuration;
    `requests` (how many were looked at) and `error` (the median error that is left, as a share)
    are told beside them.
    """

    stampless_fields: ClassVar[frozenset[str]] = frozenset({"requests", "error", "learnt_at"})
    # not a user's change: it is learnt
    logged: ClassVar[bool] = False

    provider = models.CharField(_("provider"), max_length=50)
    upstream_model = models.CharField(_("upstream model"), max_length=200)
    factor = models.FloatField(_("factor"))
    letters = models.FloatField(_("other letters"), default=1.0, db_default=1.0)
    cjk = models.FloatField(_("Chinese, Japanese, Korean"), default=1.0, db_default=1.0)
    overhead = models.PositiveIntegerField(_("tokens for each request"), default=0)
    requests = models.PositiveIntegerField(_("requests looked at"))
    error = models.FloatField(_("median error left"))
    learnt_at = models.DateTimeField(_("learnt at"), auto_now=True)

    class Meta:
        ordering = ["provider", "upstream_model"]
        verbose_name = _("token factor")
        verbose_name_plural = _("token factors")
        constraints = [
            models.UniqueConstraint(fields=["provider", "upstream_model"], name="factor_of_model"),
        ]

    def __str__(self) -> str:
        return f"{self.upstream_model} @ {self.provider}: {self.factor:.3f}"
