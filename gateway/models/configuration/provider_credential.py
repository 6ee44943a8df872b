"""ProviderCredential: a secret with which a provider lets the gateway in."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from gateway.models.base import (
    ConfigRecord,
    EncryptedTextField,
    Origin,
    SecretOriginField,
    is_left_behind,
    opened,
)
from gateway.models.configuration.provider import Provider

SET_ASIDE_FIELDS: Final = ("set_aside_since", "set_aside_until", "set_aside_status", "set_aside_reason")


class ProviderCredential(ConfigRecord):
    """One secret that a provider lets us in with.

    A credential of the environment (origin `environment`) holds no value: it is read
    from OPENAI_API_KEY whenever the configuration is loaded. One that the provider
    has refused is set aside: `set_aside_since` is set, and `set_aside_until` is empty
    as long as only an admin or a successful probe can bring it back.
    """

    edited_with: ClassVar[str] = "provider"

    provider = models.ForeignKey(
        Provider, verbose_name=_("provider"), on_delete=models.CASCADE, related_name="credentials"
    )
    label = models.CharField(
        _("label"),
        max_length=60,
        blank=True,
        default="",
        help_text=_("Its name in the history, never the secret itself."),
    )
    value = EncryptedTextField(_("credential"), blank=True, default="", origin_field="value_origin")
    value_origin = SecretOriginField(_("credential saved for"))
    position = models.IntegerField(
        _("position"),
        default=0,
        help_text=_(
            "Credentials of one number share the conversations; those of a larger number stand in for them."
        ),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    origin = models.CharField(
        _("origin"), max_length=20, choices=Origin.choices, default=Origin.ADMIN, editable=False
    )
    set_aside_since = models.DateTimeField(_("set aside since"), null=True, blank=True, editable=False)
    set_aside_until = models.DateTimeField(_("set aside until"), null=True, blank=True, editable=False)
    set_aside_status = models.PositiveSmallIntegerField(
        _("set aside status"), null=True, blank=True, editable=False
    )
    set_aside_reason = models.CharField(
        _("set aside reason"), max_length=300, blank=True, default="", editable=False
    )

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")

    def __str__(self) -> str:
        return self.shown_label

    @property
    def shown_label(self) -> str:
        """The name of the credential in history and log."""
        if self.label:
            return self.label
        return "OPENAI_API_KEY" if self.origin == Origin.ENVIRONMENT else f"credential {self.pk}"

    @property
    def is_left_behind(self) -> bool:
        """Saved for another origin than the provider's base URL has now; it must be entered again."""
        return is_left_behind(self, "value")

    @property
    def is_set_aside(self) -> bool:
        """Refused by the provider, and not brought back yet."""
        until = self.set_aside_until
        return self.set_aside_since is not None and (until is None or until > timezone.now())

    def set_aside(self, status: int | None, reason: str, until: datetime | None = None) -> None:
        """Use it no more, until an admin or a probe brings it back (or until `until`)."""
        self.set_aside_since = timezone.now()
        self.set_aside_until = until
        self.set_aside_status = status
        # PostgreSQL takes no NUL characters
        self.set_aside_reason = reason.replace("\x00", "\ufffd")[:300]
        self.save(update_fields=SET_ASIDE_FIELDS)

    def bring_back(self) -> None:
        """Use it again from now on."""
        self.set_aside_since = self.set_aside_until = self.set_aside_status = None
        self.set_aside_reason = ""
        self.save(update_fields=SET_ASIDE_FIELDS)

    def revealed(self) -> str:
        """The secret in clear text; empty for one of the environment.

        Raises encryption.EncryptionError, and SavedElsewhere when the provider leads to another origin now.
        """
        return opened(self, "value")

    def destination(self, field: str) -> str:
        return str(self.provider.destination(field))
