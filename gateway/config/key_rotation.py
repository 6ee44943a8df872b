"""Encrypt every stored secret with the first key of FIELD_ENCRYPTION_KEYS, so that the others can go.

Each secret is replaced by itself and only while it is still what was read: the gateway may serve, an admin
may save, and a run that was stopped is taken up by the next one. What a secret says does not change, so
neither the configuration's stamp moves nor does the log of changes get an entry.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import models

from gateway.models.base import EncryptedTextField, Sealed
from gateway.security import encryption


@dataclass(slots=True)
class Rotation:
    """How far it is. `unreadable`: what no key opens, as a person finds it."""

    secrets: int = 0
    replaced: int = 0
    unreadable: list[str] = field(default_factory=list)


def rotate(keys: Sequence[str]) -> Iterator[Rotation]:
    """Replace what other keys than the first sealed; the state after each record.

    Raises encryption.UnusableKey, and what the database raises.
    """
    yield from _looked_at(keys, replace=True)


def state_of_secrets(keys: Sequence[str]) -> Rotation:
    """What `rotate` would find and replace. Raises as it does."""
    return next(iter(deque(_looked_at(keys, replace=False), maxlen=1)), Rotation())


def _looked_at(keys: Sequence[str], *, replace: bool) -> Iterator[Rotation]:
    encryption.encrypt("", keys)
    state = Rotation()
    for model, name in _sealed_fields():
        rows = model._base_manager.exclude(**{name: Sealed("")}).order_by("pk")
        for record in rows.iterator(chunk_size=200):
            state.secrets += 1
            token = getattr(record, name).token
            try:
                if not encryption.is_of_first_key(token, keys):
                    anew = Sealed(encryption.encrypt(encryption.decrypt(token, keys), keys))
                    state.replaced += _replace(record, name, token, anew) if replace else 1
            except encryption.UnreadableSecret:
                state.unreadable.append(f"{model._meta.verbose_name} {record}: {name}")
            yield state


def _sealed_fields() -> Iterator[tuple[type[models.Model], str]]:
    for model in apps.get_app_config("gateway").get_models():
        for each in model._meta.concrete_fields:
            if isinstance(each, EncryptedTextField):
                yield model, each.name


def _replace(record: Any, name: str, token: str, anew: Sealed) -> int:
    # Django's own query: the records' manager would tell of a change of configuration
    rows: models.QuerySet[Any] = models.QuerySet(type(record))
    return rows.filter(pk=record.pk, **{name: Sealed(token)}).update(**{name: anew})
