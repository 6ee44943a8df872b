"""The policy of a person's clients, out of the configuration that a process holds; policies by command."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models.signals import m2m_changed, pre_delete

from gateway.client_protocol.managed_settings import Document, document
from gateway.models import ConfigStamp, ManagedPolicy
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry


def policy_for(snapshot: ConfigSnapshot, key: KeyEntry | None) -> Document | None:
    """What the owner of a key is to be told; None: no policy applies."""
    return policy_of(snapshot, None if key is None else key.owner_id)


def policy_of(snapshot: ConfigSnapshot, person: int | None) -> Document | None:
    """The policies of everyone, of the person's groups, and of the person, as one."""
    if not snapshot.policies:
        return None
    asked = ("client policy", person)
    known: tuple[Document | None] | None = snapshot.memo.get(asked)
    if known is None:
        groups = snapshot.groups.get(person, frozenset()) if person is not None else frozenset()
        mine = [
            one.settings
            for one in snapshot.policies
            if (one.person is None and one.group is None)
            or (one.person is not None and one.person == person)
            or one.group in groups
        ]
        known = (document(mine) if mine else None,)
        snapshot.memo.put(asked, known)
    return known[0]


def set_policy(username: str, settings: dict[str, Any]) -> ManagedPolicy | None:
    """Give a person these settings, in place of what a command gave before. None: nobody has that name.

    Raises ValidationError for what is no settings file.
    """
    user = get_user_model().objects.filter(username=username).first()
    if user is None:
        return None
    name = f"{username} (command)"
    record = ManagedPolicy.objects.filter(name=name).first() or ManagedPolicy(name=name)
    record.user, record.settings, record.enabled = user, settings, True
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
