"""The configuration as one readable JSON file: written out, compared, taken in.

The file has what admins keep: providers, mappings, prices, secret patterns, and
client keys without their secrets. What the environment keeps is not in it. A
secret is named by the environment variable that holds it: {"env": "ACME_KEY"}.
Records are found by what people call them (a provider by its slug, a mapping by
its pattern, a key by its name); numbers of rows mean nothing.

Taking a file in is one transaction, and each change is in the log of changes.
Records that the file does not have stay, or go with `remove`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, transaction
from django.db.models import (
    BooleanField,
    DecimalField,
    FloatField,
    IntegerField,
    JSONField,
    Max,
    ProtectedError,
)
from django.utils.translation import gettext as _

from gateway.config.changes import FILE, RecordChange, acting, changes_of
from gateway.config.undoing import left_behind
from gateway.models import (
    ClientKey,
    ConfigRecord,
    MappingTarget,
    ModelMapping,
    ModelPrice,
    Origin,
    Provider,
    ProviderCredential,
    SecretPattern,
)
from gateway.models.database_errors import concerns_server
from gateway.security import client_keys
from gateway.security.encryption import EncryptionError

logger = logging.getLogger("gateway.config")

VERSION: Final = 1
# of our own settings, those that hold a credential of a provider or a client
_CUSTOM_HEADERS: Final = "CUSTOM_HEADER_"
_CREDENTIALS: Final = frozenset({"OPENAI_API_KEY", "ANTHROPIC_API_KEY"})
_KEPT_ELSEWHERE: Final = frozenset(
    {"id", "origin", "environment_key", "created", "updated", "brought_back_at", "last_used", "revoked_at",
     "credential", "headers", "digest", "prefix", "last_four", "mapping", "provider", "learnt_at",
     "headers_origin", "value_origin", "lineage", "rotated_to", "user"}
)  # fmt: skip


_KINDS: Final[dict[type, str]] = {
    str: "a text", bool: "true or false", int: "a whole number", float: "a number", list: "a list",
    dict: "an object",
}  # fmt: skip


class Unusable(ValueError):
    """The file cannot be taken in; the message says where and why."""


def exported() -> dict[str, Any]:
    """The document of the present configuration."""
    names = _VariableNames()
    return {
        "ccproxy": VERSION,
        "providers": [
            _provider(one, names)
            for one in sorted(Provider.objects.filter(origin=Origin.ADMIN), key=lambda one: one.slug)
        ],
        "mappings": [
            {
                **_fields(one),
                "targets": [
                    {"provider": target.provider.slug, **_fields(target)}
                    for target in one.targets.select_related("provider").order_by("position", "pk")
                ],
            }
            for one in ModelMapping.objects.filter(origin=Origin.ADMIN).order_by("position", "pk")
        ],
        "keys": [
            _fields(one) if one.user is None else {**_fields(one), "user": one.user.get_username()}
            for one in sorted(
                ClientKey.objects.filter(origin=Origin.ADMIN, revoked_at=None).select_related("user"),
                key=lambda one: (one.name, one.pk),
            )
        ],
        "prices": [
            {"provider": one.provider.slug if one.provider else "", **_fields(one)}
            for one in sorted(
                ModelPrice.objects.select_related("provider"),
                key=lambda one: (
                    one.model,
                    one.provider.slug if one.provider else "",
                    one.valid_from.isoformat() if one.valid_from else "",
                    one.pk,
                ),
            )
        ],
        "secret_patterns": [
            _fields(one) for one in sorted(SecretPattern.objects.all(), key=lambda one: one.name)
        ],
    }


def as_text(document: Mapping[str, Any]) -> str:
    """The document as it stands in a file."""
    return json.dumps(document, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2) + "\n"


def read(path: Path) -> dict[str, Any]:
    """A file's document. Raises Unusable."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as problem:
        raise Unusable(f"{path}: {problem.strerror}") from problem
    except (ValueError, RecursionError) as problem:
        raise Unusable(
            _("%(path)s is not JSON: %(problem)s") % {"path": path, "problem": problem}
        ) from problem
    if not isinstance(document, dict) or document.get("ccproxy") != VERSION:
        raise Unusable(
            _('%(path)s is no configuration of this gateway: "ccproxy" is not %(version)s')
            % {"path": path, "version": VERSION}
        )
    return document


def imported(
    document: Mapping[str, Any], *, remove: bool = False, dry_run: bool = False, skip: bool = False
) -> list[str]:
    """Take a document in; each change as a line, such as "~ provider Acme: enabled: true -> false".

    `remove`: what an admin keeps and the document does not have goes. `dry_run`: nothing is kept of it.
    `skip`: an entry that cannot be taken in is left out, and a line that begins with "!" says why; otherwise
    the document is refused as a whole. Raises Unusable.
    """
    with transaction.atomic(), acting(source=FILE):
        newest = LogEntry.objects.aggregate(newest=Max("pk"))["newest"] or 0
        said = _Import(document, remove, skip).run()
        entries = LogEntry.objects.filter(pk__gt=newest).order_by("pk")
        lines = [_line(change) for entry in entries for change in changes_of(entry)]
        if dry_run:
            transaction.set_rollback(True)
    return [*lines, *said]


def load(path: Path) -> int:
    """Take in the file that a server is told to load at its start; how many changes.

    What an admin did meanwhile never stops a start: an entry that does not fit is left out, and the log says
    so. Raises Unusable for a file that is none.
    """
    lines = imported(read(path), skip=True)
    problems = [line.removeprefix("! ") for line in lines if line.startswith("!")]
    for problem in problems:
        logger.warning("the configuration file", extra={"path": str(path), "problem": problem})
    return len(lines) - len(problems)


class _Import:
    def __init__(self, document: Mapping[str, Any], remove: bool, skip: bool = False) -> None:
        self._document = document
        self._skip = skip
        self._remove = remove
        self._said: list[str] = []
        self._seen: set[tuple[str, Any]] = set()

    def run(self) -> list[str]:
        if "\\u0000" in json.dumps(self._document, default=str):
            # PostgreSQL keeps no text with one, and SQLite keeps what nobody can look for
            raise Unusable(_("a text has a NUL character"))
        for section, take, model in (
            ("providers", self._provider, Provider),
            ("mappings", self._mapping, ModelMapping),
            ("keys", self._key, ClientKey),
            ("prices", self._price, ModelPrice),
            ("secret_patterns", self._pattern, SecretPattern),
        ):
            self._section(section, take, model)
        return self._said

    def _section(self, section: str, take: Callable[[dict[str, Any]], Any], model: Any) -> None:
        if section not in self._document:
            return
        kept = []
        for place, item in enumerate(_list(self._document[section], section)):
            where = f"{section}[{place}]"
            said = len(self._said)
            try:
                # one that is skipped leaves nothing of itself
                with transaction.atomic():
                    kept.append(self._entry(where, item, take))
            except Unusable as problem:
                if not self._skip:
                    raise
                del self._said[said:]
                self._said.append("! " + _("%(problem)s Left out.") % {"problem": problem})
        if self._remove:
            self._drop(model, [one.pk for one in kept if one is not None], section)

    def _entry(self, where: str, item: Any, take: Callable[[dict[str, Any]], Any]) -> Any:
        try:
            return take(_object(item, where))
        except Unusable as problem:
            raise Unusable(f"{where}: {problem}") from problem
        except ValidationError as problem:
            raise Unusable(f"{where}: {_sentences(problem)}") from problem
        except EncryptionError as problem:
            raise Unusable(f"{where}: {problem}") from problem
        except (TypeError, AttributeError, ValueError, OverflowError, DatabaseError) as problem:
            if isinstance(problem, DatabaseError) and concerns_server(problem):
                raise
            raise Unusable(
                _("%(where)s: a value is not of the right kind (%(problem)s)")
                % {"where": where, "problem": problem}
            ) from problem

    def _drop(self, model: Any, kept: list[Any], section: str) -> None:
        others = model.objects.exclude(pk__in=kept)
        if hasattr(model, "origin"):
            others = others.filter(origin=Origin.ADMIN)
        for one in others:
            if isinstance(one, ClientKey):
                # the history points at it
                one.revoke()
                continue
            try:
                one.delete()
            except ProtectedError as problem:
                raise Unusable(
                    _("%(section)s: %(record)s is in use and cannot be removed")
                    % {"section": section, "record": one}
                ) from problem

    def _provider(self, item: dict[str, Any]) -> Provider:
        credentials = item.pop("credentials", None)
        headers = item.pop("headers", None)
        slug = _text(item, "slug")
        self._once("provider", slug)
        record = Provider.objects.filter(slug=slug).first() or Provider()
        if record.origin != Origin.ADMIN:
            raise Unusable(
                _("%(slug)r is kept by the environment, not by an admin; take it over there first")
                % {"slug": slug}
            )
        before = _values(record)
        _assign(record, item)
        if headers is not None:
            stored = _stored_headers(record)
            values = self._headers(record, _object(headers, "headers"), stored)
            if values != stored:
                record.set_headers(values)
                before = {}
        _save(record, before)
        if credentials is not None:
            self._credentials(record, _list(credentials, "credentials"))
        for name in left_behind(record):
            self._said.append(
                "! "
                + _("provider %(provider)s: %(name)s: saved for another address; enter its value again")
                % {"provider": record, "name": name}
            )
        return record

    def _credentials(self, record: Provider, items: list[Any]) -> None:
        present = list(record.credentials.filter(origin=Origin.ADMIN).order_by("position", "pk"))
        for place, item in enumerate(items):
            given = {"label": "", "position": place, **_object(item, f"credentials[{place}]")}
            value = _secret(given.pop("value", ""))
            # of several with one label the first in the file is the first here
            found = next((one for one in present if one.label == given["label"]), None)
            if found is not None:
                present.remove(found)
            one = found or ProviderCredential(provider=record)
            one.provider = record
            before = _values(one) if found else {}
            _assign(one, given)
            if value and _stored(one) != value:
                one.value, before = value, {}
            _save(one, before)
            if not one.value:
                self._said.append(
                    "! "
                    + _("provider %(provider)s: credential %(label)s: enter its value")
                    % {"provider": record, "label": one.label or place}
                )
        for one in present if self._remove else ():
            one.delete()

    def _headers(self, record: Provider, given: dict[str, Any], stored: dict[str, str]) -> dict[str, str]:
        """Each header with the value of its variable; where that is not set, with the stored one."""
        values = {}
        for name, value in given.items():
            text = _secret(value) or stored.get(name, "")
            if text:
                values[name] = text
            else:
                self._said.append(
                    "! "
                    + _("provider %(provider)s: header %(name)s: its variable is not set; left out")
                    % {"provider": record, "name": name}
                )
        return values

    def _once(self, kind: str, name: Any) -> None:
        if (kind, name) in self._seen:
            raise Unusable(_("%(name)r stands here twice") % {"name": name})
        self._seen.add((kind, name))

    def _nth(self, kind: str, name: str, found: Iterable[Any]) -> Any:
        """The first of these records that no entry of the file has meant yet; None: none is left."""
        record = next((one for one in found if (kind, one.pk) not in self._seen), None)
        if record is not None:
            self._seen.add((kind, record.pk))
        return record

    def _mapping(self, item: dict[str, Any]) -> ModelMapping:
        targets = item.pop("targets", None)
        pattern = _text(item, "pattern")
        of_admin = ModelMapping.objects.filter(pattern=pattern, origin=Origin.ADMIN).order_by(
            "position", "pk"
        )
        record = self._nth("mapping", pattern, of_admin) or ModelMapping()
        before = _values(record) if record.pk else {}
        _assign(record, item)
        _save(record, before)
        self._seen.add(("mapping", record.pk))
        if targets is not None:
            self._targets(record, _list(targets, "targets"))
        return record

    def _targets(self, mapping: ModelMapping, items: list[Any]) -> None:
        present = list(mapping.targets.order_by("position", "pk"))
        for place, item in enumerate(items):
            given = _object(item, f"targets[{place}]")
            slug = str(given.pop("provider", ""))
            provider = Provider.objects.filter(slug=slug).first()
            if provider is None:
                raise Unusable(f"targets[{place}]: " + _("there is no provider %(slug)r") % {"slug": slug})
            record = present[place] if place < len(present) else MappingTarget(mapping=mapping)
            before = {**_values(record), "provider": record.provider_id} if record.pk else {}
            record.provider = provider
            _assign(record, {"position": place, **given})
            _save(record, before, provider=provider.pk)
        for record in present[len(items) :]:
            record.delete()

    def _key(self, item: dict[str, Any]) -> ClientKey | None:
        name, secret = _text(item, "name"), _secret(item.pop("key", None))
        owner = item.pop("user", None)
        # the key itself says best which record it is, whatever was done to that meanwhile
        of_secret = ClientKey.objects.filter(digest=client_keys.digest(secret)) if secret else None
        by_secret: ClientKey | None = of_secret.first() if of_secret is not None else None
        if by_secret is not None and (by_secret.revoked_at or by_secret.origin != Origin.ADMIN):
            self._said.append(
                "! "
                + _("key %(name)s: revoked here, or kept by the environment; left as it is") % {"name": name}
            )
            return by_secret
        named = ClientKey.objects.filter(name=name, origin=Origin.ADMIN, revoked_at=None).order_by("pk")
        record: ClientKey | None = self._nth("key", name, [by_secret] if by_secret else named)
        if record is None:
            if not secret:
                self._said.append(
                    "! "
                    + _('key %(name)s: not here; issue it, or give "key": {"env": "VARIABLE"} in the file')
                    % {"name": name}
                )
                return None
            record = ClientKey()
            record.set_key(secret)
            if record.is_short:
                self._said.append(
                    "! " + _("key %(name)s: so short that it can be guessed; rotate it") % {"name": name}
                )
        before = {**_values(record), "user": record.user_id} if record.pk else {}
        _assign(record, item)
        if owner is not None:
            record.user = get_user_model().objects.filter(username=str(owner)).first()
            if record.user is None:
                raise Unusable(_("there is no user %(name)r here") % {"name": owner})
        _save(record, before, user=record.user_id)
        self._seen.add(("key", record.pk))
        return record

    def _price(self, item: dict[str, Any]) -> ModelPrice:
        slug = str(item.pop("provider", ""))
        provider = Provider.objects.filter(slug=slug).first() if slug else None
        if slug and provider is None:
            raise Unusable(_("there is no provider %(slug)r") % {"slug": slug})
        draft = ModelPrice(provider=provider)
        _assign(draft, item)
        same = ModelPrice.objects.filter(provider=provider, model=draft.model, valid_from=draft.valid_from)
        record = self._nth("price", draft.model, same.order_by("pk")) or draft
        before = _values(record) if record.pk else {}
        _assign(record, item)
        _save(record, before)
        self._seen.add(("price", record.pk))
        return record

    def _pattern(self, item: dict[str, Any]) -> SecretPattern:
        name = _text(item, "name")
        self._once("pattern", name)
        record = SecretPattern.objects.filter(name=name).first() or SecretPattern()
        before = _values(record)
        _assign(record, item)
        _save(record, before)
        return record


class _VariableNames:
    """Names for the variables of a file: none twice, none of our own settings."""

    def __init__(self) -> None:
        self._taken = set(settings.ENVIRONMENT_NAMES)

    def __call__(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._taken or name.startswith(_CUSTOM_HEADERS):
            number += 1
            name = f"PROVIDER_{wanted}" if number == 2 else f"PROVIDER_{wanted}_{number}"
        self._taken.add(name)
        return name


def _provider(record: Provider, names: _VariableNames) -> dict[str, Any]:
    """With names of variables for what is secret: whoever takes the file in sets them."""
    start = record.slug.upper().replace("-", "_")
    credentials = [
        {"label": one.label,
         "value": {"env": names(f"{start}_KEY_{place + 1}" if place else f"{start}_KEY")},
         "position": one.position, "enabled": one.enabled}
        for place, one in enumerate(record.credentials.order_by("position", "pk"))
    ]  # fmt: skip
    document = {**_fields(record), "credentials": credentials}
    headers = _stored_headers(record)
    if headers:
        document["headers"] = {
            name: {"env": names(f"{start}_HEADER_{place + 1}")} for place, name in enumerate(headers)
        }
    return document


def _fields(record: ConfigRecord) -> dict[str, Any]:
    """The values of a record that stand in the file, as JSON has them, in the order of the model."""
    plain: dict[str, Any] = json.loads(json.dumps(_values(record), default=_plain))
    return plain


def _values(record: ConfigRecord) -> dict[str, Any]:
    names = [field.name for field in record._meta.concrete_fields if field.name not in _KEPT_ELSEWHERE]
    return {name: getattr(record, name) for name in names}


def _plain(value: Any) -> Any:
    # to the microsecond: a time that is cut is another time when it is read again
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _assign(record: ConfigRecord, item: Mapping[str, Any]) -> None:
    fields = {
        field.name: field for field in record._meta.concrete_fields if field.name not in _KEPT_ELSEWHERE
    }
    for name, value in item.items():
        if name not in fields:
            raise Unusable(
                _("%(name)r is no field; there are %(fields)s") % {"name": name, "fields": ", ".join(fields)}
            )
        setattr(record, name, _taken(fields[name], value))


def _taken(field: Any, value: Any) -> Any:
    """A value of the file as the field has it. Raises Unusable for one of another kind."""
    if value is None:
        return None
    kinds: tuple[type, ...] = (str,)
    if isinstance(field, JSONField):
        kinds = (list,) if field.get_default() == [] else (dict,)
    elif isinstance(field, BooleanField):
        kinds = (bool,)
    elif isinstance(field, IntegerField):
        kinds = (int,)
    elif isinstance(field, FloatField):
        kinds = (int, float)
    elif isinstance(field, DecimalField):
        kinds = (int, float, str)
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds != (bool,)):
        wanted = " / ".join(_KINDS[kind] for kind in kinds)
        raise Unusable(_("%(name)s must be: %(kind)s") % {"name": field.name, "kind": wanted})
    if isinstance(field, DecimalField):
        # as it stands in the file: 0.1 is no other number
        return field.to_python(str(value))
    return field.to_python(value)


def _save(record: ConfigRecord, before: Mapping[str, Any], **more: Any) -> None:
    """Save what differs; a file that is loaded at each start must not move the stamp."""
    if record.pk is None or {**_values(record), **more} != before:
        record.full_clean()
        record.save()


def _stored(credential: ProviderCredential) -> str:
    """The stored secret as far as it serves its provider now; "" when it does not."""
    try:
        return credential.revealed()
    except EncryptionError:
        return ""


def _stored_headers(record: Provider) -> dict[str, str]:
    try:
        return record.revealed_headers() if record.pk else {}
    except (EncryptionError, ValueError):
        return {}


def _secret(value: Any) -> str:
    """The text of {"env": NAME}; "" when the variable is not set. A secret in clear text is refused."""
    if isinstance(value, dict) and list(value) == ["env"]:
        name = str(value["env"])
        if name in settings.ENVIRONMENT_NAMES and name not in _CREDENTIALS:
            raise Unusable(
                _("%(name)s is a setting of the gateway and holds no credential; name another variable")
                % {"name": name}
            )
        return os.environ.get(name, "")
    if value in ("", None):
        return ""
    raise Unusable(
        _('a secret stands in the file; name the environment variable that holds it: {"env": "NAME"}')
    )


def _line(change: RecordChange) -> str:
    sign = {ADDITION: "+", DELETION: "-"}.get(change.flag, "~")
    what = f"{sign} {change.model._meta.verbose_name} {change.title}"
    if change.flag in (ADDITION, DELETION):
        return what
    return f"{what}: " + "; ".join(
        f"{name}: {json.dumps(before, ensure_ascii=False)} -> {json.dumps(after, ensure_ascii=False)}"
        for name, (before, after) in change.values.items()
    )


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unusable(_("%(where)s must be a list") % {"where": where})
    return value


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unusable(_("%(where)s must be an object") % {"where": where})
    return dict(value)


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise Unusable(_("%(name)r is missing") % {"name": name})
    return value


def _sentences(problem: ValidationError) -> str:
    if not hasattr(problem, "error_dict"):
        return " ".join(problem.messages)
    parts: Iterable[tuple[str, list[str]]] = problem.message_dict.items()
    return "; ".join(f"{name}: {' '.join(sentences)}" for name, sentences in parts)
