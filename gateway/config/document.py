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
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Max, ProtectedError
from django.utils.translation import gettext as _

from gateway.config.changes import FILE, acting, left_behind, values_of
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
from gateway.security.encryption import EncryptionError

VERSION: Final = 1
_KEPT_ELSEWHERE: Final = frozenset(
    {"id", "origin", "environment_key", "created", "updated", "brought_back_at", "last_used", "revoked_at",
     "credential", "headers", "digest", "prefix", "last_four", "mapping", "provider", "learnt_at",
     "headers_origin", "value_origin", "lineage"}
)  # fmt: skip


class Unusable(ValueError):
    """The file cannot be taken in; the message says where and why."""


def exported() -> dict[str, Any]:
    """The document of the present configuration."""
    return {
        "ccproxy": VERSION,
        "providers": [
            _provider(one) for one in Provider.objects.filter(origin=Origin.ADMIN).order_by("slug")
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
            _fields(one)
            for one in ClientKey.objects.filter(origin=Origin.ADMIN, revoked_at=None).order_by("name", "pk")
        ],
        "prices": [
            {"provider": one.provider.slug if one.provider else "", **_fields(one)}
            for one in ModelPrice.objects.select_related("provider").order_by(
                "model", "provider__slug", "valid_from"
            )
        ],
        "secret_patterns": [_fields(one) for one in SecretPattern.objects.order_by("name")],
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
    except ValueError as problem:
        raise Unusable(
            _("%(path)s is not JSON: %(problem)s") % {"path": path, "problem": problem}
        ) from problem
    if not isinstance(document, dict) or document.get("ccproxy") != VERSION:
        raise Unusable(
            _('%(path)s is no configuration of this gateway: "ccproxy" is not %(version)s')
            % {"path": path, "version": VERSION}
        )
    return document


def imported(document: Mapping[str, Any], *, remove: bool = False, dry_run: bool = False) -> list[str]:
    """Take a document in; each change as a line, such as "~ provider Acme: enabled: true -> false".

    `remove`: what an admin keeps and the document does not have goes. `dry_run`: nothing is kept of it.
    Raises Unusable.
    """
    with transaction.atomic(), acting(source=FILE):
        newest = LogEntry.objects.aggregate(newest=Max("pk"))["newest"] or 0
        said = _Import(document, remove).run()
        lines = [_line(entry) for entry in LogEntry.objects.filter(pk__gt=newest).order_by("pk")]
        if dry_run:
            transaction.set_rollback(True)
    return [*lines, *said]


def load(path: Path) -> int:
    """Take in the file that a server is told to load at its start; how many changes. Raises Unusable."""
    return len(imported(read(path)))


class _Import:
    def __init__(self, document: Mapping[str, Any], remove: bool) -> None:
        self._document = document
        self._remove = remove
        self._said: list[str] = []

    def run(self) -> list[str]:
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
            try:
                kept.append(take(_object(item, where)))
            except Unusable as problem:
                raise Unusable(f"{where}: {problem}") from problem
            except ValidationError as problem:
                raise Unusable(f"{where}: {_sentences(problem)}") from problem
            except (TypeError, AttributeError) as problem:
                raise Unusable(
                    _("%(where)s: a value is not of the right kind (%(problem)s)")
                    % {"where": where, "problem": problem}
                ) from problem
        if self._remove:
            self._drop(model, [one.pk for one in kept if one is not None], section)

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
        record = Provider.objects.filter(slug=_text(item, "slug")).first() or Provider()
        before = _fields(record)
        _assign(record, item)
        if headers is not None:
            values = {name: _secret(value) for name, value in _object(headers, "headers").items()}
            if values != _stored_headers(record):
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
        for place, item in enumerate(items):
            given = _object(item, f"credentials[{place}]")
            label, value = str(given.get("label", "")), _secret(given.get("value", ""))
            found = record.credentials.filter(label=label).first()
            if found is None:
                record.add_credential(value, label, enabled=bool(given.get("enabled", True)))
                if not value:
                    self._said.append(
                        "! "
                        + _("provider %(provider)s: credential %(label)s: enter its value")
                        % {"provider": record, "label": label or place}
                    )
            elif value and _stored(found) != value:
                found.value = value
                found.save()

    def _mapping(self, item: dict[str, Any]) -> ModelMapping:
        targets = item.pop("targets", None)
        pattern = _text(item, "pattern")
        of_admin = ModelMapping.objects.filter(pattern=pattern, origin=Origin.ADMIN)
        record = of_admin.first() or ModelMapping()
        before = _fields(record)
        _assign(record, item)
        _save(record, before)
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
            before = {**_fields(record), "provider": record.provider_id}
            record.provider = provider
            _assign(record, {"position": place, **given})
            _save(record, before, provider=provider.pk)
        for record in present[len(items) :]:
            record.delete()

    def _key(self, item: dict[str, Any]) -> ClientKey | None:
        name, secret = _text(item, "name"), item.pop("key", None)
        record = ClientKey.objects.filter(name=name, origin=Origin.ADMIN, revoked_at=None).first()
        if record is None:
            if secret is None:
                self._said.append(
                    "! "
                    + _('key %(name)s: not here; issue it, or give "key": {"env": "VARIABLE"} in the file')
                    % {"name": name}
                )
                return None
            record = ClientKey()
            record.set_key(_secret(secret))
        before = _fields(record) if record.pk else {}
        _assign(record, item)
        _save(record, before)
        return record

    def _price(self, item: dict[str, Any]) -> ModelPrice:
        slug = str(item.pop("provider", ""))
        provider = Provider.objects.filter(slug=slug).first() if slug else None
        if slug and provider is None:
            raise Unusable(_("there is no provider %(slug)r") % {"slug": slug})
        draft = ModelPrice(provider=provider)
        _assign(draft, item)
        same = ModelPrice.objects.filter(provider=provider, model=draft.model, valid_from=draft.valid_from)
        record = same.first() or draft
        before = _fields(record) if record.pk else {}
        _assign(record, item)
        _save(record, before)
        return record

    def _pattern(self, item: dict[str, Any]) -> SecretPattern:
        record = SecretPattern.objects.filter(name=_text(item, "name")).first() or SecretPattern()
        before = _fields(record)
        _assign(record, item)
        _save(record, before)
        return record


def _provider(record: Provider) -> dict[str, Any]:
    """With names of variables for what is secret: whoever takes the file in sets them."""
    start = record.slug.upper().replace("-", "_")
    credentials = [
        {"label": one.label, "value": {"env": f"{start}_KEY" if not place else f"{start}_KEY_{place + 1}"},
         "enabled": one.enabled}
        for place, one in enumerate(record.credentials.order_by("position", "pk"))
    ]  # fmt: skip
    return {**_fields(record), "credentials": credentials}


def _fields(record: ConfigRecord) -> dict[str, Any]:
    """The values of a record that stand in the file, as JSON has them, in the order of the model."""
    names = [field.name for field in record._meta.concrete_fields if field.name not in _KEPT_ELSEWHERE]
    values = {name: getattr(record, name) for name in names}
    plain: dict[str, Any] = json.loads(json.dumps(values, cls=DjangoJSONEncoder))
    return plain


def _assign(record: ConfigRecord, item: Mapping[str, Any]) -> None:
    fields = {
        field.name: field for field in record._meta.concrete_fields if field.name not in _KEPT_ELSEWHERE
    }
    for name, value in item.items():
        if name not in fields:
            raise Unusable(
                _("%(name)r is no field; there are %(fields)s") % {"name": name, "fields": ", ".join(fields)}
            )
        setattr(record, name, value if value is None else fields[name].to_python(value))


def _save(record: ConfigRecord, before: Mapping[str, Any], **more: Any) -> None:
    """Save what differs; a file that is loaded at each start must not move the stamp."""
    if record.pk is None or {**_fields(record), **more} != before:
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
        return os.environ.get(str(value["env"]), "")
    if value in ("", None):
        return ""
    raise Unusable(
        _('a secret stands in the file; name the environment variable that holds it: {"env": "NAME"}')
    )


def _line(entry: LogEntry) -> str:
    sign = {ADDITION: "+", DELETION: "-"}.get(entry.action_flag, "~")
    kind = entry.content_type.name if entry.content_type else ""
    what = f"{sign} {kind} {entry.object_repr}"
    if entry.action_flag in (ADDITION, DELETION):
        return what
    return f"{what}: " + "; ".join(
        f"{name}: {json.dumps(before, ensure_ascii=False)} -> {json.dumps(after, ensure_ascii=False)}"
        for name, (before, after) in values_of(entry).items()
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
