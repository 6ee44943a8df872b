"""SearchEngine: where the gateway itself searches the web, for models whose provider does not."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from gateway.models.base import ConfigRecord, EncryptedTextField, SecretOriginField, opened
from gateway.models.configuration.provider import BASE_URL_FORM, check_address
from gateway.security.destinations import origin_of


class EngineKind(models.TextChoices):
    """Whose API it is."""

    SEARXNG = "searxng", "SearXNG"
    BRAVE = "brave", "Brave Search"
    TAVILY = "tavily", "Tavily"


class SearchEngine(ConfigRecord):
    """One search engine. The enabled one with the smallest position is used; the others are not."""

    name = models.CharField(_("name"), max_length=100)
    kind = models.CharField(_("kind"), max_length=20, choices=EngineKind.choices, default=EngineKind.SEARXNG)
    base_url = models.CharField(
        _("base URL"),
        max_length=500,
        blank=True,
        default="",
        validators=[RegexValidator(r"^https?://[^\s/@?#]+(/[^\s?#]*)?\Z", BASE_URL_FORM)],
        help_text=_(
            "Of your SearXNG, for example http://127.0.0.1:8888; its settings must allow the format json. "
            "Empty for the others: their own address."
        ),
    )
    credential = EncryptedTextField(_("credential"), blank=True, default="", origin_field="credential_origin")
    credential_origin = SecretOriginField(_("credential saved for"))
    position = models.IntegerField(_("position"), default=0, help_text=_("The smallest number is used."))
    max_results = models.PositiveSmallIntegerField(
        _("results"), default=8, validators=[MinValueValidator(1), MaxValueValidator(20)]
    )
    timeout = models.FloatField(
        _("timeout"),
        default=10.0,
        validators=[MinValueValidator(0.5)],
        help_text=_("Seconds; after that the model is told that the search failed."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    note = models.CharField(_("note"), max_length=500, blank=True, default="")

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = _("search engine")
        verbose_name_plural = _("search engines")

    def __str__(self) -> str:
        return self.name

    def revealed(self) -> str:
        """The credential in clear text. Raises encryption.EncryptionError (SavedElsewhere)."""
        return opened(self, "credential")

    def destination(self, field: str) -> str:
        # without a base URL the kind decides
        return origin_of(self.base_url or self.kind)

    def clean(self) -> None:
        super().clean()
        if self.kind == EngineKind.SEARXNG and not self.base_url:
            raise ValidationError({"base_url": _("Enter the address of your SearXNG.")})
        check_address(self.base_url)
