"""ClientKey: what a client shows to be let in; kept as a digest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Final

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from gateway.models.base import ConfigRecord, Origin
from gateway.security import client_keys

# begins the digest of a key without a secret; no digest of a secret has such letters
_RETIRED: Final = "retired-"
# what belongs to one key alone
_NOT_ROTATED: Final = frozenset(
    {
        "id",
        "prefix",
        "last_four",
        "digest",
        "origin",
        "created",
        "last_used",
        "revoked_at",
        "rotated_to",
        "lineage",
        "address",
        "client",
    }
)


class Capture(models.TextChoices):
    """Which bodies of a key's requests are kept."""

    GATEWAY = "", _("as the gateway does (CAPTURE_BODIES)")
    NONE = "none", _("none")
    FULL = "full", _("full")


class BudgetPeriod(models.TextChoices):
    """How long a budget holds, in UTC."""

    DAY = "day", _("day")
    WEEK = "week", _("week (from Monday)")
    MONTH = "month", _("month")


class LimitFields(models.Model):
    """The limits that a client key or a person can have, each optional."""

    requests_per_minute = models.PositiveIntegerField(
        _("requests per minute"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    input_tokens_per_minute = models.PositiveIntegerField(
        _("input tokens per minute"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Tokens that the provider reads from its cache do not count."),
    )
    output_tokens_per_minute = models.PositiveIntegerField(
        _("output tokens per minute"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    concurrent_requests = models.PositiveIntegerField(
        _("concurrent requests"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    budget_period = models.CharField(
        _("budget period"),
        max_length=5,
        choices=BudgetPeriod.choices,
        default=BudgetPeriod.MONTH,
        help_text=_("The budgets below begin anew with each of these periods, in UTC."),
    )
    spend_budget = models.DecimalField(
        _("spend budget"),
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("US dollars in one period."),
    )
    token_budget = models.PositiveBigIntegerField(
        _("token budget"),
        null=True,
        blank=True,
        help_text=_("Input and output tokens in one period, cached ones too."),
    )

    class Meta:
        abstract = True


class ClientKey(ConfigRecord, LimitFields):
    """One client key. Used keys are revoked, not deleted: the history points at them."""

    # written by the recorder with every batch; it is no change of configuration
    stampless_fields: ClassVar[frozenset[str]] = frozenset({"last_used"})
    # an owner reads contents
    field_rights: ClassVar[Mapping[str, str]] = MappingProxyType({"user_id": "gateway.assign_clientkey"})

    name = models.CharField(_("name"), max_length=100, help_text=_("What or whom the key is for."))
    owner = models.CharField(
        _("owner's name"),
        max_length=200,
        blank=True,
        default="",
        help_text=_("Who answers for it, when that is no user here."),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="client_keys",
        verbose_name=_("owner"),
        help_text=_(
            "Sees this key, its usage, its limits and its requests after logging in, and nothing else."
        ),
    )
    rotated_to = models.ForeignKey(
        "self",
        verbose_name=_("rotated to"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="rotated_from",
    )
    # the first of the keys that it was rotated from; None: it is the first itself
    lineage = models.PositiveBigIntegerField(
        _("first of its rotated keys"), null=True, blank=True, editable=False, db_index=True
    )
    prefix = models.CharField(_("prefix"), max_length=12, blank=True, default="", editable=False)
    last_four = models.CharField(_("last four"), max_length=4, blank=True, default="", editable=False)
    digest = models.CharField(_("digest"), max_length=64, unique=True, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True, help_text=_("Empty: never."))
    allowed_models = models.JSONField(
        default=list,
        blank=True,
        verbose_name=_("allowed models"),
        help_text=_("Names or patterns with * of the models it may ask for. Empty: all."),
    )
    capture = models.CharField(
        _("bodies kept"), max_length=10, choices=Capture.choices, blank=True, default=Capture.GATEWAY
    )
    origin = models.CharField(
        _("origin"), max_length=20, choices=Origin.choices, default=Origin.ADMIN, editable=False
    )
    # of a sign-in: where and with what it was begun; processes of the release before insert keys without
    address = models.CharField(
        _("address"), max_length=64, blank=True, default="", db_default="", editable=False
    )
    client = models.CharField(
        _("client"), max_length=200, blank=True, default="", db_default="", editable=False
    )
    created = models.DateTimeField(_("created"), auto_now_add=True)
    last_used = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created", "-pk"]
        verbose_name = _("client key")
        verbose_name_plural = _("client keys")
        permissions = [("assign_clientkey", gettext_noop("Can set the owner of client keys"))]

    def __str__(self) -> str:
        return f"{self.name} ({self.shown})"

    @classmethod
    def issue(cls, name: str, **fields: Any) -> tuple[ClientKey, str]:
        """Make and store a key. The second value is the key itself, for the only time."""
        record = cls(name=name, **fields)
        key = record.set_new_key()
        record.save()
        return record, key

    @classmethod
    def line(cls, lineage: int) -> models.QuerySet[ClientKey]:
        """The keys that count together, the first of them in front: `lineage` is its primary key."""
        return cls.objects.filter(models.Q(pk=lineage) | models.Q(lineage=lineage)).order_by("pk")

    @classmethod
    def lock_line(cls, lineage: int) -> None:
        """Let others who lock this line wait until the transaction ends.

        Locks its first row alone, so that two who lock it never wait for each other. SQLite has one writer
        at a time and needs no lock.
        """
        list(cls.line(lineage).select_for_update().values_list("pk")[:1])

    def set_new_key(self) -> str:
        """Give an unsaved record its key and return it. Nothing of it but the digest is kept."""
        key = client_keys.new_key()
        self.set_key(key)
        return key

    def set_key(self, key: str) -> None:
        """Take the digest and the harmless parts of a given key."""
        self.prefix = client_keys.prefix(key)
        self.last_four = client_keys.last_four(key)
        self.digest = client_keys.digest(key)

    @classmethod
    def unretired(cls) -> models.QuerySet[ClientKey]:
        """The keys that have a secret; while there is none, there are no keys for clients either."""
        return cls.objects.exclude(digest__startswith=_RETIRED)

    def retire(self) -> None:
        """Revoke a key that nobody has any more, and drop its digest; requests and holds still name it.

        With the same secret, or another, it can be brought back by `set_key`.
        """
        self.digest, self.revoked_at = f"{_RETIRED}{self.pk}", timezone.now()
        self.save(update_fields=["digest", "revoked_at"])

    def rotate(self, grace: timedelta) -> tuple[ClientKey, str]:
        """A new key with all settings of this one, which stays valid for `grace` at most.

        Both are of one lineage: what this one used of its limits and budgets, the new one has used.

        Gives the new record and the key itself, for the only time.
        """
        given = {
            field.name: getattr(self, field.name)
            for field in self._meta.concrete_fields
            if field.name not in _NOT_ROTATED
        }
        with transaction.atomic():
            record, key = ClientKey.issue(**given, lineage=self.lineage or self.pk)
            end = timezone.now() + grace
            self.expires_at = end if self.expires_at is None else min(end, self.expires_at)
            self.rotated_to = record
            self.save(update_fields=["expires_at", "rotated_to"])
        return record, key

    @property
    def owner_name(self) -> str:
        """Who answers for it: the user, or the name that stands there instead."""
        return self.user.get_username() if self.user is not None else self.owner

    @property
    def owner_active(self) -> bool:
        """False when its owner may no longer log in."""
        # an owner that is named and not found was deleted by something else than Django
        return self.user_id is None or (self.user is not None and self.user.is_active)

    def revoke(self) -> None:
        """Refuse the key from now on; the first time counts."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])

    @property
    def shown(self) -> str:
        return client_keys.shortened(self.prefix, self.last_four)

    @property
    def is_short(self) -> bool:
        """Whether somebody chose it by hand and so short that it can be guessed from its digest."""
        return self.origin != Origin.SIGN_IN and not (self.prefix or self.last_four)

    def state(self, now: datetime | None = None) -> str:
        """`active`, `expired`, `revoked`, or `owner_inactive`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= (now or timezone.now()):
            return "expired"
        return "active" if self.owner_active else "owner_inactive"
