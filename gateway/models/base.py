"""What all configuration records share: the stamp that every write moves, and sealed secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, Final

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.db.models import F
from django.db.models.deletion import Collector
from django.dispatch import Signal
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gateway.conf import gateway_conf
from gateway.security import encryption

# Sent after a change of configuration is committed in this process. A hint only,
# so that the snapshot need not wait for its next look at the stamp.
config_changed = Signal()
# Sent inside the transaction of a write, for each record that is another now: `sender` the model, `pk`,
# `title` (the record's text), `before` and `after` (values by field's attname; None: there was none).
config_written = Signal()


class Origin(models.TextChoices):
    """Who keeps a record."""

    ADMIN = "admin", _("admin")
    ENVIRONMENT = "environment", _("from the environment")
    DEMO = "demo", _("demo")
    SIGN_IN = "sign_in", _("sign-in")


class ConfigStamp(models.Model):
    """One row, one number: it changes whenever configuration changes."""

    ROW: ClassVar[int] = 1

    value = models.BigIntegerField(default=0)

    class Meta:
        # no page has these records, and nobody is given rights over them
        default_permissions = ()
        verbose_name = _("configuration stamp")

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


@contextmanager
def written(model: type[ConfigRecord], pks: Iterable[Any] = ()) -> Iterator[list[Any]]:
    """A transaction in which records of `model` are written; tells of those that changed.

    Give the primary keys of those that exist; add to the list those that are made meanwhile.
    """
    keys = list(pks)
    with transaction.atomic():
        before = _facts(model, keys)
        yield keys
        after = _facts(model, keys)
        for pk in dict.fromkeys(keys):
            old, new = before.get(pk), after.get(pk)
            if old != new:
                title = (new or old or ("",))[0]
                config_written.send(
                    sender=model, pk=pk, title=title, before=old and old[1], after=new and new[1]
                )


def _facts(model: type[ConfigRecord], pks: Iterable[Any]) -> dict[Any, tuple[str, dict[str, Any]]]:
    """Title and values of stored records by primary key, without what is beside the configuration."""
    pks = [pk for pk in pks if pk is not None]
    if not (pks and model.logged):
        return {}
    names = [
        field.attname
        for field in model._meta.concrete_fields
        if field.attname not in model.stampless_fields
        and not field.primary_key
        and not getattr(field, "auto_now", False)
    ]
    return {
        record.pk: (str(record), {name: getattr(record, name) for name in names})
        for record in model._base_manager.filter(pk__in=pks)
    }


class ConfigQuerySet(models.QuerySet[Any]):
    """Bulk writes move the stamp as single ones do, when they changed a row."""

    def update(self, **values: Any) -> int:
        record: type[ConfigRecord] = self.model
        if record.stampless_fields.issuperset(values):
            return super().update(**values)
        with written(record, self.values_list("pk", flat=True)):
            rows = super().update(**values)
            if rows:
                ConfigStamp.bump()
        return rows

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        with _all_written(self):
            deleted = super().delete()
            if deleted[0]:
                ConfigStamp.bump()
        return deleted

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, *args: Any, **options: Any) -> list[Any]:
        with written(self.model) as keys:
            created = super().bulk_create(*args, **options)
            keys.extend(record.pk for record in created)
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
    key was last used); writing only those leaves the stamp alone. `logged`: changes
    are told to config_written, and so to the log of who did what.
    """

    stampless_fields: ClassVar[frozenset[str]] = frozenset()
    logged: ClassVar[bool] = True
    # what it takes to set a field, by attname, beside the right to change the record
    field_rights: ClassVar[Mapping[str, str]] = MappingProxyType({})
    # the foreign key to the record on whose page this one is edited
    edited_with: ClassVar[str] = ""

    objects = ConfigManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        if _only(self.stampless_fields, options.get("update_fields")):
            super().save(*args, **options)
            return
        with written(type(self), [] if self._state.adding else [self.pk]) as keys:
            super().save(*args, **options)
            keys.append(self.pk)
            ConfigStamp.bump()

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        with _all_written([self]):
            deleted = super().delete(*args, **options)
            ConfigStamp.bump()
        return deleted

    def destination(self, field: str) -> str:
        """Where the secret of this field goes now, in one spelling (`origin_of`).

        Records with secrets say it.
        """
        raise NotImplementedError


@contextmanager
def _all_written(records: Iterable[Any]) -> Iterator[None]:
    """`written` for records that will be deleted, and those that go with them."""
    collector = Collector(using=DEFAULT_DB_ALIAS)
    # a list, because collecting may read it twice
    collector.collect(list(records))
    going: dict[Any, list[Any]] = {
        model: [one.pk for one in found]
        for model, found in collector.data.items()
        if issubclass(model, ConfigRecord)
    }
    for found in collector.fast_deletes:
        if isinstance(found, models.QuerySet) and issubclass(found.model, ConfigRecord):
            going.setdefault(found.model, []).extend(found.values_list("pk", flat=True))
    with ExitStack() as stack:
        stack.enter_context(transaction.atomic())
        for model, pks in going.items():
            stack.enter_context(written(model, pks))
        yield


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


class SavedElsewhere(encryption.EncryptionError):
    """A secret was saved for another origin than its record leads to now, and is not opened for this one."""


LONGEST_DESTINATION: Final = 500


class SecretOriginField(models.CharField):
    """The origin that the secret beside it was saved for. EncryptedTextField writes it, and nothing else."""

    def __init__(self, *args: Any, **options: Any) -> None:
        usual = {
            "max_length": LONGEST_DESTINATION,
            "blank": True,
            "default": "",
            "db_default": "",
            "editable": False,
        }
        super().__init__(*args, **{**usual, **options})


def opened(record: ConfigRecord, name: str) -> str:
    """The text of a sealed field, for the address that its record leads to now.

    Raises SavedElsewhere when it was saved for another one, encryption.EncryptionError when no key opens it.
    """
    value = getattr(record, name)
    if not isinstance(value, Sealed):
        # just assigned; it is sealed when its record is saved
        return str(value or "")
    if not value:
        return ""
    if is_left_behind(record, name):
        raise SavedElsewhere(
            gettext("It was saved for %(saved)s and is not sent to %(now)s. Enter it again.")
            % {"saved": _saved_for(record, name) or "?", "now": record.destination(name)}
        )
    return value.reveal()


def is_left_behind(record: ConfigRecord, name: str) -> bool:
    """Whether a stored secret belongs to another origin than its record leads to now."""
    value = getattr(record, name)
    if not (isinstance(value, Sealed) and value):
        return False
    return _saved_for(record, name) != record.destination(name)


def _saved_for(record: ConfigRecord, name: str) -> str:
    field: Any = record._meta.get_field(name)
    return str(getattr(record, field.origin_field))


class EncryptedTextField(models.TextField):
    """Text that is encrypted in the database and a Sealed on the record; assign plain text to change it.

    The secret belongs to the `record.destination()` of the time it is assigned, which is noted in the
    field named `origin_field`. A Sealed that is assigned keeps the origin it was saved for.
    """

    def __init__(self, *args: Any, origin_field: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.origin_field = origin_field

    def from_db_value(self, value: str | None, *_: Any) -> Sealed:
        return Sealed(value or "")

    def to_python(self, value: Any) -> Sealed:
        """From fixtures, which hold ciphertext, as value_to_string writes it."""
        return value if isinstance(value, Sealed) else Sealed(value or "")

    def clean(self, value: Any, model_instance: models.Model | None) -> Sealed:
        """Seal plain text on its way into a record. Raises ValidationError when there is no key for it."""
        try:
            return self._sealed(value, model_instance)
        except encryption.EncryptionError as problem:
            raise ValidationError(str(problem)) from None

    def pre_save(self, model_instance: models.Model, add: bool) -> Sealed:
        sealed = self._sealed(getattr(model_instance, self.attname), model_instance)
        # the clear text does not stay on the record
        setattr(model_instance, self.attname, sealed)
        return sealed

    def get_prep_value(self, value: Any) -> str:
        if isinstance(value, Sealed):
            return value.token
        return Sealed.of(value or "").token

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj))

    def _sealed(self, value: Any, record: Any) -> Sealed:
        if isinstance(value, Sealed):
            return value
        sealed = Sealed.of(value or "")
        if self.origin_field and record is not None:
            setattr(record, self.origin_field, record.destination(self.attname) if sealed else "")
        return sealed


def storable_text(text: object, longest: int | None = None) -> str:
    """`text` without NUL and half surrogate pairs, cut to `longest` characters."""
    whole = text if isinstance(text, str) else str(text)
    plain = whole[:longest].replace("\x00", "\ufffd")
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
