"""The policy of a person's clients, out of the configuration that a process holds; policies by command."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models.signals import m2m_changed, pre_delete

from gateway.client_protocol.managed_settings import Document, document, problem_of
from gateway.config.suggested_settings import suggested
from gateway.models import ConfigStamp, ManagedPolicy
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry, PolicyEntry


def policy_for(snapshot: ConfigSnapshot, key: KeyEntry | None, now: datetime) -> Document | None:
    """The policies of everyone, of its owner's groups, and of its owner, as one; None: no policy applies.

    Prices in it are those of the hour of `now`.
    """
    return _policy(snapshot, None if key is None else key.owner_id, key, now)


def policy_of(snapshot: ConfigSnapshot, person: int | None, now: datetime) -> Document | None:
    """What a person is told who comes with their usual key."""
    return _policy(snapshot, person, usual_key(snapshot, person, now), now)


def usual_key(snapshot: ConfigSnapshot, person: int | None, now: datetime) -> KeyEntry | None:
    """The newest sign-in of a person that is served, else their newest key; None without any."""
    mine = (
        key
        for key in snapshot.keys.values()
        if person is not None and key.owner_id == person and key.refusal(now.timestamp()) is None
    )
    return max(mine, key=lambda key: (key.signed_in, key.id), default=None)


def _policy(
    snapshot: ConfigSnapshot, person: int | None, key: KeyEntry | None, now: datetime
) -> Document | None:
    if not snapshot.policies:
        return None
    hour = now.replace(minute=0, second=0, microsecond=0)
    asked = ("client policy", person, None if key is None else key.id, hour)
    known: tuple[Document | None] | None = snapshot.memo.get(asked)
    if known is None:
        mine: list[Mapping[str, Any]] = []
        for one in snapshot.policies:
            if applies(one, snapshot, person, key):
                if one.lists_models:
                    mine.append(suggested(snapshot, key, hour))
                mine.append(one.settings)
        known = (document(mine) if mine else None,)
        snapshot.memo.put(asked, known)
    return known[0]


def applies(policy: PolicyEntry, snapshot: ConfigSnapshot, person: int | None, key: KeyEntry | None) -> bool:
    """Whether a policy is one of a person's, who may be nobody, and who comes with `key`."""
    if policy.keys is not None:
        return (None if key is None else key.id) in policy.keys
    if policy.people is not None:
        return person in policy.people
    if policy.group is not None:
        return person is not None and policy.group in snapshot.groups.get(person, frozenset())
    return True


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


def mistaken() -> list[dict[str, str]]:
    """The policies in force that could not be saved as they are: `name` and, of each, its first `problem`.

    A release before may have stored them. What clients would drop of them is not handed out.
    """
    stored = ManagedPolicy.objects.filter(enabled=True)
    found = [{"name": one.name, "problem": problem_of(one.settings)} for one in stored]
    return [one for one in found if one["problem"]]


def _stamp_moves(**_: Any) -> None:
    ConfigStamp.bump()


def connect() -> None:
    """Who is in which group decides about policies; what goes with an account or a group is configuration."""
    users = get_user_model()
    m2m_changed.connect(_stamp_moves, sender=users.groups.through, dispatch_uid="gateway.group_members")
    for model in (users, users._meta.get_field("groups").related_model):
        pre_delete.connect(_stamp_moves, sender=model, dispatch_uid=f"gateway.goes.{model.__name__}")
