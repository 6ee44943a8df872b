"""What all configuration records share: the stamp that every write moves, and sealed secrets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.db import models, transaction
from django.db.models import F
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _

from gateway.conf import gateway_conf
from gateway.security import encryption

# Sent after a change of configuration is committed in this process. A hint only,
# so that the snapshot need not wait for its next look at the stamp.
config_changed = Signal()


class Origin(models.TextChoices):
    """Who keeps a record."""

    ADMIN = "admin", _("admin")
    ENVIRONMENT = "environment", _("from the environment")
    DEMO = "demo", _("demo")


class ConfigStamp(models.Model):
    """One row, one number: it changes whenever configuration changes."""

    ROW: ClassVar[int] = 1

    value = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = "configuration stamp"

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def current(cls) -> int:
        """The stamp now; 0 before the first change."""
        value: int | None = cls.objects.filter(pk=cls.ROW).values_list("value", flat=True).first()
        return value or 0

    @classmethod
    def bump(cls) -> None:
        """Move the stamp. Call it in the transaction of the change, so that both are seen together."""
        if not cls.objects.filter(pk=cls.ROW).update(value=F("value") + 1):
            _, created = cls.objects.get_or_create(pk=cls.ROW, defaults={"value": 1})
            if not created:
                cls.objects.filter(pk=cls.ROW).update(value=F("value") + 1)
        transaction.on_commit(_announce)


def _announce() -> None:
    config_changed.send_robust(sender=ConfigStamp)


class ConfigQuerySet(models.QuerySet[Any]):
    """Bulk writes move the stamp as single ones do, when they changed a row."""

    def update(self, **values: Any) -> int:
        with transaction.atomic(using=self.db):
            rows = super().update(**values)
            record: type[ConfigRecord] = self.model
            if rows and not record.stampless_fields.issuperset(values):
                ConfigStamp.bump()
        return rows

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic(using=self.db):
            deleted = super().delete()
            if deleted[0]:
                ConfigStamp.bump()
        return deleted

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, *args: Any, **options: Any) -> list[Any]:
        with transaction.atomic(using=self.db):
            created = super().bulk_create(*args, **options)
            if created:
                ConfigStamp.bump()
        return created


class ConfigManager(models.Manager[Any]):
    """Gives the queryset above; Django's own manager methods pass on to it."""

    def get_queryset(self) -> ConfigQuerySet:
        return ConfigQuerySet(self.model, using=self._db)


class ConfigRecord(models.Model):
    """A record that belongs to the configuration; every way of writing one moves the stamp.

    Fields named in `stampless_fields` are facts beside the configuration (when a
    key was last used); writing only those leaves the stamp alone.
    """

    stampless_fields: ClassVar[frozenset[str]] = frozenset()

    objects = ConfigManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            super().save(*args, **options)
            if not _only(self.stampless_fields, options.get("update_fields")):
                ConfigStamp.bump()

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            deleted = super().delete(*args, **options)
            ConfigStamp.bump()
        return deleted


def _only(stampless: frozenset[str], update_fields: Iterable[str] | None) -> bool:
    return update_fields is not None and stampless.issuperset(update_fields)


class Sealed:
    """A stored secret: ciphertext until somebody asks for the text by name. Falsy when nothing is stored."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token

    @classmethod
    def of(cls, text: str) -> Sealed:
        """Seal a text; the empty text stays empty. Raises encryption.UnusableKey."""
        return cls(encryption.encrypt(text, gateway_conf().field_encryption_keys) if text else "")

    def reveal(self) -> str:
        """The text. Raises encryption.EncryptionError with a sentence for an admin."""
        return encryption.decrypt(self.token, gateway_conf().field_encryption_keys) if self.token else ""

    def __bool__(self) -> bool:
        return bool(self.token)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and other.token == self.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __repr__(self) -> str:
        return "<Sealed>" if self.token else "<Sealed: empty>"


def revealed(value: Sealed | str) -> str:
    """The text of a sealed field; one that was just assigned is sealed only when its record is saved.

    Raises encryption.EncryptionError.
    """
    return value.reveal() if isinstance(value, Sealed) else value


class EncryptedTextField(models.TextField):
    """Text that is encrypted in the database and a Sealed on the record; assign plain text to change it."""

    def from_db_value(self, value: str | None, *_: Any) -> Sealed:
        return Sealed(value or "")

    def to_python(self, value: Any) -> Sealed:
        """From forms and fixtures: fixtures hold ciphertext, as value_to_string writes it."""
        return value if isinstance(value, Sealed) else Sealed(value or "")

    def pre_save(self, model_instance: models.Model, add: bool) -> Sealed:
        value = getattr(model_instance, self.attname)
        sealed = value if isinstance(value, Sealed) else Sealed.of(value or "")
        # the clear text does not stay on the record
        setattr(model_instance, self.attname, sealed)
        return sealed

    def get_prep_value(self, value: Any) -> str:
        if isinstance(value, Sealed):
            return value.token
        return Sealed.of(value or "").token

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj))
