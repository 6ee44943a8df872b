"""Taking a person's name out of what stays: their account, keys, notices, and what others wrote of them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db.models import Q

from gateway.models import (
    ClientKey,
    ContentRead,
    DeviceGrant,
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
from gateway.personal_data.log_entries import Own, reword_log
from gateway.personal_data.places import PLACES
from gateway.personal_data.wording import Person, is_plain, longest_first, reworded, without


def erased_name(user_pk: int) -> str:
    """What an account is called once its person was erased."""
    return f"erased-{user_pk}"


def names_of(user: Any) -> tuple[str, ...]:
    """What stands for a person in texts, the longest first.

    The name of a key alone does not: others may have a key of that name.
    """
    keys = list(ClientKey.objects.filter(user=user))
    names = [user.get_username(), user.get_full_name(), user.email, *map(str, keys)]
    return longest_first([*names, *(key.owner for key in keys)])


def forget_names(user: Any) -> None:
    """Take the name of a person out of everything that stays. Call it in a transaction."""
    names, instead = names_of(user), _free_name(user)
    keys = list(ClientKey.objects.filter(user=user))
    pks = [key.pk for key in keys]
    budgets, policies, rules = (
        model.objects.filter(user=user) for model in (PersonBudget, ManagedPolicy, SafeguardRule)
    )
    own: Own = {
        type(user): {str(user.pk)},
        ClientKey: set(map(str, pks)),
        **{rows.model: {str(pk) for pk in rows.values_list("pk", flat=True)} for rows in (budgets, policies)},
        SafeguardRule: {str(pk) for pk in rules.values_list("pk", flat=True)},
    }
    mail, keys_were = user.email, {key.pk: key.name for key in keys}
    for rows in (budgets, policies, rules, SavedView.objects.filter(user=user)):
        rows.delete()
    DeviceGrant.objects.filter(Q(user=user) | Q(key__in=pks)).delete()
    RefreshToken.objects.filter(key__in=pks).delete()
    RefusedKey.objects.filter(client_key_pk__in=pks).delete()
    for number, key in enumerate(keys, 1):
        if key.origin != Origin.ENVIRONMENT:
            key.name, key.owner, key.address, key.client = f"{instead}-{number}", "", "", ""
            key.save(update_fields=["name", "owner", "address", "client"])
        RequestLog.objects.filter(client_key_id=key.pk).update(key_name=key.name)
        SessionTotal.objects.filter(client_key_id=key.pk).update(key_name=key.name)
    ContentRead.objects.filter(user=user).update(user_name=instead)
    person = Person(names, instead, mail, _renamed(keys_were, keys))
    _forget_address(mail)
    _reword_notices(keys_were, person)
    for label, place in PLACES.items():
        for field in place.named:
            _reword(apps.get_model(label), field, person)
    _forget_account(user, instead)
    # last: what was saved above is in the log, too
    reword_log(own, user.pk, person)


def _free_name(user: Any) -> str:
    """A name for the account that no other has."""
    name = erased_name(user.pk)
    taken = get_user_model().objects.exclude(pk=user.pk).filter(username=name).exists()
    return f"{name}-{secrets.token_hex(4)}" if taken else name


def _renamed(keys_were: Mapping[int, str], keys: Sequence[ClientKey]) -> dict[str, str]:
    """{what a key was called: what it is called now}, but for names that keys of others have, too."""
    others = ClientKey.objects.exclude(pk__in=list(keys_were)).filter(name__in=keys_were.values())
    shared = set(others.values_list("name", flat=True))
    return {
        keys_were[key.pk]: key.name
        for key in keys
        if keys_were[key.pk] != key.name and keys_were[key.pk] not in shared
    }


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


def _reword(model: Any, field: str, person: Person) -> None:
    for record in _naming(model, field, person):
        was = getattr(record, field)
        told = reworded(model._meta.label, field, was, person)
        if told != was:
            setattr(record, field, _fitting(record, field, told))
            record.save(update_fields=[field])


def _naming(model: Any, field: str, person: Person) -> Iterator[Any]:
    """The records that may name a person in a field."""
    if not is_plain(model._meta.label, field):
        yield from model.objects.order_by("pk")
        return
    mentions = Q(pk=None)
    for name in person.distinct:
        mentions |= Q(**{f"{field}__contains": name})
    yield from model.objects.filter(mentions).order_by("pk")


def _fitting(record: Any, field: str, told: Any) -> Any:
    """A new value as its column takes it: cut, and with the record's number where another has that text."""
    longest = record._meta.get_field(field).max_length
    if not isinstance(told, str) or longest is None:
        return told
    told = told[:longest]
    setattr(record, field, told)
    try:
        record.validate_unique()
        record.validate_constraints()
    except ValidationError:
        number = f"-{record.pk}"
        return told[: longest - len(number)] + number
    return told


def _reword_notices(keys: Mapping[int, str], person: Person) -> None:
    """Notices about the person's keys, which name the key."""
    for pk, name in keys.items():
        theirs = Q(url__contains=f"/clientkey/{pk}/") | Q(url__contains=f"key={pk}&")
        for notice in Notice.objects.filter(theirs):
            text = without(notice.text, longest_first([name, *person.names]), person.instead)
            notice.text = _fitting(notice, "text", text)
            notice.save(update_fields=["text"])
