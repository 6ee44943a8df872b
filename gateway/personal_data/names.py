"""Taking a person's name out of what stays: their account, keys, changes, notices and notes of reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db.models import Q

from gateway.models import (
    ClientKey,
    ContentRead,
    Dataset,
    DeviceGrant,
    Evaluation,
    ManagedPolicy,
    Notice,
    NotificationChannel,
    Origin,
    PersonBudget,
    RefreshToken,
    RefusedKey,
    RequestLog,
    SafeguardRule,
    SavedView,
    SessionTotal,
)

# a shorter name is taken out of the records that are about the person, and nowhere else
_DISTINCT: Final = 3
_JOINING: Final = "-_.@"
# of a change, what says how it came about
_KEPT: Final = ("source", "undone", "flag", "said")


def erased_name(user_pk: int) -> str:
    """What an account is called once its person was erased."""
    return f"erased-{user_pk}"


def names_of(user: Any) -> list[str]:
    """What stands for a person in texts, the longest first.

    The name of a key alone does not: others may have a key of that name.
    """
    keys = list(ClientKey.objects.filter(user=user))
    names = [user.get_username(), user.get_full_name(), user.email, *map(str, keys)]
    return _longest_first([*names, *(key.owner for key in keys)])


def _longest_first(names: Iterable[str]) -> list[str]:
    return sorted({name.strip() for name in names if name.strip()}, key=lambda name: (-len(name), name))


def without(text: str, names: Iterable[str], instead: str) -> str:
    """`text` with `instead` where one of `names` stands as a whole word."""
    for name in names:
        start = 0
        while (at := text.find(name, start)) >= 0:
            end = at + len(name)
            if _joins(text[at - 1 : at]) or _joins(text[end : end + 1], text[end + 1 : end + 2]):
                start = end
            else:
                text = text[:at] + instead + text[end:]
                start = at + len(instead)
    return text


def _joins(character: str, behind: str = "x") -> bool:
    """Whether a character makes one word with what it stands beside. A full stop ends a sentence, too."""
    if not character:
        return False
    return character.isalnum() or (character in _JOINING and (behind.isalnum() or character != "."))


def forget_names(user: Any) -> None:
    """Take the name of a person out of everything that stays. Call it in a transaction."""
    instead = erased_name(user.pk)
    names = names_of(user)
    keys = list(ClientKey.objects.filter(user=user))
    pks = [key.pk for key in keys]
    budgets, policies, rules = (
        model.objects.filter(user=user) for model in (PersonBudget, ManagedPolicy, SafeguardRule)
    )
    theirs: list[tuple[Any, list[str]]] = [
        (type(user), [str(user.pk)]),
        (ClientKey, list(map(str, pks))),
        *(
            (rows.model, [str(pk) for pk in rows.values_list("pk", flat=True)])
            for rows in (budgets, policies)
        ),
        (SafeguardRule, [str(pk) for pk in rules.values_list("pk", flat=True)]),
    ]
    mail, keys_were = user.email, {key.pk: key.name for key in keys}
    for rows in (budgets, policies, rules, SavedView.objects.filter(user=user)):
        rows.delete()
    DeviceGrant.objects.filter(Q(user=user) | Q(key__in=pks)).delete()
    RefreshToken.objects.filter(key__in=pks).delete()
    RefusedKey.objects.filter(client_key_pk__in=pks).delete()
    for number, key in enumerate(keys, 1):
        if key.origin != Origin.ENVIRONMENT:
            key.name, key.owner = f"{instead}-{number}", ""
            key.save(update_fields=["name", "owner"])
        RequestLog.objects.filter(client_key_id=key.pk).update(key_name=key.name)
        SessionTotal.objects.filter(client_key_id=key.pk).update(key_name=key.name)
    ContentRead.objects.filter(user=user).update(user_name=instead)
    _forget_address(mail)
    _reword_notices(keys_were, names, instead)
    for model, fields in ((Notice, ("text",)), (Dataset, ("name",)), (Evaluation, ("name", "problem"))):
        _reword(model, fields, names, instead)
    _forget_account(user, instead)
    # last: what was saved above is in the log, too
    _reword_log(theirs, names, instead)


def _forget_account(user: Any, instead: str) -> None:
    user.username, user.first_name, user.last_name, user.email = instead, "", "", ""
    user.is_active = user.is_staff = user.is_superuser = False
    user.last_login = None
    user.set_unusable_password()
    user.save()
    user.groups.clear()
    user.user_permissions.clear()
    for session in Session.objects.iterator():
        if session.get_decoded().get("_auth_user_id") == str(user.pk):
            session.delete()


def _forget_address(mail: str) -> None:
    """No mail goes to somebody who was erased; a channel that leads to nobody else is switched off."""
    for channel in NotificationChannel.objects.all() if mail else ():
        left = [address for address in channel.addresses if address.lower() != mail.lower()]
        if left != channel.addresses:
            channel.addresses = left
            channel.enabled = channel.enabled and bool(left)
            channel.save(update_fields=["addresses", "enabled"])


def _distinct(names: Sequence[str]) -> list[str]:
    return [name for name in names if len(name) >= _DISTINCT]


def _reword(model: Any, fields: Sequence[str], names: Sequence[str], instead: str) -> None:
    for name in _distinct(names):
        for field in fields:
            for record in model.objects.filter(**{f"{field}__contains": name}):
                setattr(record, field, without(getattr(record, field), names, instead))
                record.save(update_fields=[field])


def _reword_notices(keys: dict[int, str], names: Sequence[str], instead: str) -> None:
    """Notices about the person's keys, which name the key."""
    for pk, name in keys.items():
        theirs = Q(url__contains=f"/clientkey/{pk}/") | Q(url__contains=f"key={pk}&")
        for notice in Notice.objects.filter(theirs):
            notice.text = without(notice.text, _longest_first([name, *names]), instead)
            notice.save(update_fields=["text"])


def _reword_log(theirs: Sequence[tuple[Any, list[str]]], names: Sequence[str], instead: str) -> None:
    """Entries about the person's own records keep what was done and by whom; others lose the name alone."""
    own: set[tuple[str, str]] = set()
    about = Q(pk=None)
    for model, pks in theirs:
        own.update((model._meta.label_lower, pk) for pk in pks)
        about |= Q(content_type=ContentType.objects.get_for_model(model), object_id__in=pks)
    for entry in LogEntry.objects.filter(about).order_by():
        entry.object_repr = instead
        kept = [_reworded(_meta(first), names, instead) for first in _messages(entry)[:1]]
        entry.change_message = json.dumps(kept, ensure_ascii=False)
        entry.save(update_fields=["object_repr", "change_message"])
    mentions = Q(pk=None)
    for name in _distinct(names):
        written = json.dumps(name, ensure_ascii=False)[1:-1]
        mentions |= Q(object_repr__contains=name) | Q(change_message__contains=written)
    for _model, numbers in theirs:
        for pk in numbers:
            mentions |= Q(change_message__contains=f'"pk": "{pk}"')
    for entry in LogEntry.objects.filter(mentions).order_by():
        entry.object_repr = without(entry.object_repr, names, instead)
        told = [_part(one, own, names, instead) for one in _messages(entry)]
        if told:
            entry.change_message = json.dumps(told, ensure_ascii=False)
        else:
            entry.change_message = without(entry.change_message, names, instead)
        entry.save(update_fields=["object_repr", "change_message"])


def _part(message: dict[str, Any], own: set[tuple[str, str]], names: Sequence[str], instead: str) -> Any:
    part = message.get("part")
    if isinstance(part, dict) and (part.get("model"), part.get("pk")) in own:
        return {"part": {**part, "title": instead, "values": {}}}
    return _reworded(message, _distinct(names), instead)


def _reworded(value: Any, names: Sequence[str], instead: str) -> Any:
    if isinstance(value, str):
        return without(value, names, instead)
    if isinstance(value, list):
        return [_reworded(one, names, instead) for one in value]
    if isinstance(value, dict):
        return {key: _reworded(one, names, instead) for key, one in value.items()}
    return value


def _meta(message: dict[str, Any]) -> dict[str, Any]:
    return {key: message[key] for key in _KEPT if key in message}


def _messages(entry: LogEntry) -> list[dict[str, Any]]:
    try:
        told = json.loads(entry.change_message or "[]")
    except ValueError:
        return []
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
