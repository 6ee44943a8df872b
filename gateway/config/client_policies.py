"""The policy of a person's clients, out of the configuration that a process holds; policies by command."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models.signals import m2m_changed, pre_delete

from gateway.client_protocol.managed_settings import Document, document
from gateway.config.suggested_settings import suggested
from gateway.models import ConfigStamp, ManagedPolicy
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry, PolicyEntry


def policy_for(snapshot: ConfigSnapshot, key: KeyEntry | None, now: datetime) -> Document | None:
    """What the owner of a key is to be told; None: no policy applies."""
    return policy_of(snapshot, None if key is None else key.owner_id, now)


def policy_of(snapshot: ConfigSnapshot, person: int | None, now: datetime) -> Document | None:
    """The policies of everyone, of the person's groups, and of the person, as one.

    Prices in it are those of the hour of `now`.
    """
    if not snapshot.policies:
        return None
    hour = now.replace(minute=0, second=0, microsecond=0)
    asked = ("client policy", person, hour)
    known: tuple[Document | None] | None = snapshot.memo.get(asked)
    if known is None:
        mine: list[Mapping[str, Any]] = []
        for one in snapshot.policies:
            if applies(one, snapshot, person):
                if one.lists_models:
                    mine.append(models_for(snapshot, person, hour))
                mine.append(one.settings)
        known = (document(mine) if mine else None,)
        snapshot.memo.put(asked, known)
    return known[0]


def applies(policy: PolicyEntry, snapshot: ConfigSnapshot, person: int | None) -> bool:
    """Whether a policy is one of a person's, who may be nobody."""
    if policy.people is not None:
        return person in policy.people
    if policy.group is not None:
        return person is not None and policy.group in snapshot.groups.get(person, frozenset())
    return True


def models_for(snapshot: ConfigSnapshot, person: int | None, now: datetime) -> dict[str, Any]:
    """The settings that follow from the mappings and prices here, for what a person's keys may ask for.

    For nobody, and for somebody without a key that is served, they are those of everybody.
    """
    keys = [
        key
        for key in snapshot.keys.values()
        if person is not None and key.owner_id == person and key.refusal(now.timestamp()) is None
    ]
    return suggested(snapshot, keys or None, now)


def set_policy(
    username: str, settings: dict[str, Any], *, lists_models: bool = False
) -> ManagedPolicy | None:
    """Give a person these settings, in place of what a command gave before. None: nobody has that name.

    Raises ValidationError for what is no settings file.
    """
    user = get_user_model().objects.filter(username=username).first()
    if user is None:
        return None
    name = f"{username} (command)"
    record = ManagedPolicy.objects.filter(name=name).first() or ManagedPolicy(name=name)
    record.user, record.settings, record.enabled = user, settings, True
    record.lists_models = lists_models
    record.full_clean()
    record.save()
    return record


def _stamp_moves(**_: Any) -> None:
    ConfigStamp.bump()


def connect() -> None:
    """Who is in which group decides about policies; what goes with an account or a group is configuration."""
    users = get_user_model()
    m2m_changed.connect(_stamp_moves, sender=users.groups.through, dispatch_uid="gateway.group_members")
    for model in (users, users._meta.get_field("groups").related_model):
        pre_delete.connect(_stamp_moves, sender=model, dispatch_uid=f"gateway.goes.{model.__name__}")
