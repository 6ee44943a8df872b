"""Who is told what outside of the console: channels, notices, and their deliveries."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator, validate_email
from django.db import models
from django.utils.translation import gettext_lazy as _

from gateway.models.base import ConfigRecord, EncryptedTextField, SecretOriginField, opened
from gateway.models.configuration.provider import check_address
from gateway.security.destinations import origin_of


class ChannelKind(models.TextChoices):
    WEBHOOK = "webhook", _("webhook")
    MAIL = "mail", _("mail")


class Urgency(models.TextChoices):
    """From the most urgent down."""

    PROBLEM = "problem", _("problems")
    WARNING = "warning", _("problems and warnings")
    HINT = "hint", _("everything")


class NotificationChannel(ConfigRecord):
    """One webhook, or one list of mail addresses. `secret` signs what a webhook gets.

    `least`: notices below this urgency are not sent.
    """

    name = models.CharField(_("name"), max_length=100)
    kind = models.CharField(
        _("kind"), max_length=10, choices=ChannelKind.choices, default=ChannelKind.WEBHOOK
    )
    url = models.CharField(
        _("address of the webhook"),
        max_length=500,
        blank=True,
        default="",
        validators=[
            RegexValidator(r"^https?://[^\s/@?#]+(/\S*)?\Z", _("Enter an address that begins with https://."))
        ],
        help_text=_("Each notice is a POST of JSON to it."),
    )
    secret = EncryptedTextField(
        _("secret"),
        blank=True,
        default="",
        origin_field="secret_origin",
        help_text=_(
            "Signs each notice, so that the receiver knows whom it comes from. docs/operations.md says how."
        ),
    )
    secret_origin = SecretOriginField(_("secret saved for"))
    addresses = models.JSONField(
        _("mail addresses"), default=list, blank=True, help_text=_("One a line; for mail.")
    )
    least = models.CharField(
        _("what is sent"), max_length=10, choices=Urgency.choices, default=Urgency.WARNING
    )
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "pk"]
        verbose_name = _("notification channel")
        verbose_name_plural = _("notification channels")

    def __str__(self) -> str:
        return self.name

    def revealed(self) -> str:
        """The secret in clear text. Raises encryption.EncryptionError (SavedElsewhere)."""
        return opened(self, "secret")

    def destination(self, field: str) -> str:
        return origin_of(self.url)

    def wants(self, urgency: str) -> bool:
        """Whether notices of this urgency are sent here."""
        order = [str(value) for value in Urgency.values]
        return urgency in order and order.index(urgency) <= order.index(self.least)

    def clean(self) -> None:
        super().clean()
        if self.kind == ChannelKind.WEBHOOK:
            if not self.url:
                raise ValidationError({"url": _("Enter the address of the webhook.")})
            check_address(self.url, "url")
            try:
                port = urlsplit(self.url).port
            except ValueError:
                port = 0
            if port == 0:
                raise ValidationError({"url": _("The port must be a number from 1 to 65535.")})
        if self.kind == ChannelKind.MAIL:
            if not self.addresses:
                raise ValidationError({"addresses": _("Enter at least one mail address.")})
            for address in self.addresses:
                try:
                    validate_email(address)
                except ValidationError as problem:
                    raise ValidationError({"addresses": f"{address}: {problem.message}"}) from None


class Notice(models.Model):
    """Something that needs attention, from when it was seen until it was over.

    `key` names it across looks and processes (watch.attention.Item.key); of one key at most one is open.
    """

    key = models.CharField(max_length=200)
    text = models.CharField(max_length=1000)
    url = models.CharField(max_length=500, blank=True, default="")
    urgency = models.CharField(max_length=10, choices=Urgency.choices)
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        # no page has these records, and nobody is given rights over them
        default_permissions = ()
        ordering: ClassVar[list[str]] = ["-began_at", "-pk"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(ended_at=None), name="notice_open_once"
            )
        ]

    def __str__(self) -> str:
        return self.text


class DeliveryState(models.TextChoices):
    WAITING = "waiting", _("waiting")
    SENT = "sent", _("sent")
    FAILED = "failed", _("given up")


class Delivery(models.Model):
    """One message to one channel: that a notice began (`event` began), is over (ended), or a test.

    It is tried again, later each time, until `state` says sent or failed; `problem` is the last one.
    """

    channel = models.ForeignKey(NotificationChannel, on_delete=models.CASCADE, related_name="deliveries")
    notice = models.ForeignKey(Notice, null=True, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=10)
    state = models.CharField(
        _("state"), max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING
    )
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    next_at = models.DateTimeField(null=True, blank=True)
    made_at = models.DateTimeField(_("when"), auto_now_add=True)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    problem = models.CharField(_("problem"), max_length=300, blank=True, default="")

    class Meta:
        # no page has these records, and nobody is given rights over them
        default_permissions = ()
        ordering: ClassVar[list[str]] = ["-made_at", "-pk"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["channel", "notice", "event"],
                condition=models.Q(notice__isnull=False),
                name="delivery_once",
            )
        ]
        indexes: ClassVar[list[Any]] = [
            models.Index(fields=["next_at"], name="delivery_next", condition=models.Q(state="waiting"))
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.event}"
