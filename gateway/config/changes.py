"""Who changed the configuration: every write of a record becomes an entry of Django's log, values included.

An entry's message is Django's own list with one object more: `values`, for each
field [before, after] as JSON, and `source`, what did it when that was no person.
Secrets appear as SECRET only, so a change of one is seen and its value is not.
Changes that nobody signed for (commands, the environment) belong to a user who
cannot log in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from gateway.models import (
    ClientKey,
    ConfigRecord,
    EncryptedTextField,
    Provider,
    SecretOriginField,
    config_written,
    is_left_behind,
)

SECRET: Final = "••••••••"  # noqa: S105 (stands for one)
NOBODY: Final = "ccproxy"
COMMAND: Final = "command"
ENVIRONMENT: Final = "environment"
FILE: Final = "file"
LEARNT: Final = "learnt"


class CannotUndo(ValueError):
    """The message says why, for an admin."""


@dataclass
class Actor:
    """Who acts: a user's primary key, or None and a source. `noted`: (model, pk) of what was logged.

    `undone`: the entry that is being undone.
    """

    user_pk: Any = None
    source: str = ""
    undone: int = 0
    noted: set[tuple[Any, Any]] = field(default_factory=set)


_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)


@contextmanager
def acting(user: Any = None, source: str = "", undone: int = 0) -> Iterator[Actor]:
    """What is changed inside was changed by `user`, or by `source` when there is none."""
    outer = _actor.get()
    actor = Actor(getattr(user, "pk", None), source, undone)
    if actor.user_pk is None and outer is not None:
        actor.user_pk = outer.user_pk
    token = _actor.set(actor)
    try:
        yield actor
    finally:
        _actor.reset(token)


def is_noted(record: Any) -> bool:
    """Whether this change of a record is in the log already."""
    actor = _actor.get()
    return actor is not None and (type(record), record.pk) in actor.noted


def note(sender: type[ConfigRecord], pk: Any, title: str, before: Any, after: Any, **_more: Any) -> None:
    """Receives config_written."""
    values = _differences(sender, before, after)
    if not values:
        return
    actor = _actor.get() or Actor(source=COMMAND)
    flag = ADDITION if before is None else DELETION if after is None else CHANGE
    message: dict[str, Any] = {"values": values}
    if actor.source:
        message["source"] = actor.source
    if actor.undone:
        message["undone"] = actor.undone
    if flag == ADDITION:
        message["added"] = {}
    elif flag == CHANGE:
        message["changed"] = {"fields": [str(_verbose(sender, name)) for name in values]}
    LogEntry.objects.create(
        user_id=actor.user_pk or _nobody(),
        content_type=ContentType.objects.get_for_model(sender),
        object_id=str(pk),
        object_repr=title[:200],
        action_flag=flag,
        change_message=json.dumps([message], cls=DjangoJSONEncoder, ensure_ascii=False),
    )
    actor.noted.add((sender, pk))


config_written.connect(note, dispatch_uid="gateway.changes.note")


def values_of(entry: LogEntry) -> dict[str, list[Any]]:
    """{field: [before, after]} of an entry; empty for one that has none."""
    return dict(_message(entry).get("values", {}))


def source_of(entry: LogEntry) -> str:
    """command, environment, file, learnt, or "" for a person."""
    return str(_message(entry).get("source", ""))


def undone_by(entry: LogEntry) -> int:
    """The primary key of the entry that this one undid; 0 for none."""
    return int(_message(entry).get("undone", 0))


def undo(entry: LogEntry) -> str:
    """Give the record of an entry the values it had before, by the way of saving; says what was done.

    Raises CannotUndo.
    """
    model: Any = entry.content_type.model_class() if entry.content_type else None
    values = values_of(entry)
    if model is None or not issubclass(model, ConfigRecord) or not values:
        raise CannotUndo(_("This entry does not say what was before."))
    record = model.objects.filter(pk=entry.object_id).first()
    if entry.action_flag == DELETION:
        return _made_again(model, entry, values, record)
    if record is None:
        raise CannotUndo(_("The record is gone. Undo its deletion first."))
    if entry.action_flag == ADDITION:
        return _removed(record)
    return _changed_back(record, values)


def _changed_back(record: ConfigRecord, values: dict[str, list[Any]]) -> str:
    left_out = [name for name in values if _is_secret(type(record), name)]
    now = _shown_all(type(record), {name: getattr(record, name, None) for name in values})
    for name, (_before, after) in values.items():
        if name not in left_out and now[name] != after:
            raise CannotUndo(
                _("%(field)s was changed again since. Undo the later change first.")
                % {"field": _verbose(type(record), name)}
            )
    if "origin" in values:
        raise CannotUndo(_("Who keeps a record is not undone. Nothing was changed."))
    restored = [name for name in values if name not in left_out]
    if not restored:
        raise CannotUndo(_("Only secrets were changed, and their old values are not kept."))
    for name in restored:
        setattr(record, name, _from_json(type(record), name, values[name][0]))
    record.full_clean()
    if left_behind(record):
        raise CannotUndo(
            _(
                "Its credentials were saved for another address and do not go back with it. Change the "
                "address on the record's page, and enter them there."
            )
        )
    record.save()
    if left_out:
        return _("Changed back, but for secrets, whose old values are not kept.")
    return _("Changed back.")


def left_behind(record: ConfigRecord) -> list[str]:
    """The secrets of a record that belong to another origin than it leads to now, by name."""
    if isinstance(record, Provider):
        return record.left_behind()
    sealed = [field for field in record._meta.concrete_fields if isinstance(field, EncryptedTextField)]
    return [str(field.verbose_name) for field in sealed if is_left_behind(record, field.name)]


def _removed(record: ConfigRecord) -> str:
    if isinstance(record, ClientKey):
        # the history points at it
        record.revoke()
        return _("The key was revoked.")
    try:
        record.delete()
    except ProtectedError as problem:
        raise CannotUndo(_("Other records need this one. Remove them first.")) from problem
    return _("Removed again.")


def _made_again(model: Any, entry: LogEntry, values: dict[str, list[Any]], there: Any) -> str:
    if there is not None:
        raise CannotUndo(_("The record is there again already."))
    if model is ClientKey:
        raise CannotUndo(
            _("A client key that was deleted cannot come back: nothing is kept of it. Issue another.")
        )
    plain = {name: before for name, (before, _after) in values.items() if not _is_secret(model, name)}
    record = model(
        pk=entry.object_id, **{name: _from_json(model, name, value) for name, value in plain.items()}
    )
    record.full_clean(exclude=[name for name in values if _is_secret(model, name)])
    record.save(force_insert=True)
    return _("Made again. Secrets are not kept: enter them anew.")


def _message(entry: LogEntry) -> dict[str, Any]:
    try:
        message = json.loads(entry.change_message or "[]")
    except ValueError:
        return {}
    return message[0] if isinstance(message, list) and message and isinstance(message[0], dict) else {}


def _differences(model: type[ConfigRecord], before: Any, after: Any) -> dict[str, list[Any]]:
    old, new = _shown_all(model, before or {}), _shown_all(model, after or {})
    return {
        name: [old.get(name), new.get(name)]
        for name in (after or before or {})
        if before is None or after is None or before[name] != after[name]
    }


def _shown_all(model: type[ConfigRecord], values: dict[str, Any]) -> dict[str, Any]:
    """Values as JSON has them, secrets hidden."""
    shown = {name: _hidden(value) if _is_secret(model, name) else value for name, value in values.items()}
    plain: dict[str, Any] = json.loads(json.dumps(shown, cls=DjangoJSONEncoder))
    return plain


def _hidden(value: Any) -> str:
    return SECRET if value else ""


def _is_secret(model: type[ConfigRecord], name: str) -> bool:
    """Whether a value is a secret, or says where one may go: undoing never writes it."""
    if model is ClientKey and name == "digest":
        return True
    return isinstance(_field(model, name), EncryptedTextField | SecretOriginField)


def _field(model: type[ConfigRecord], name: str) -> Any:
    return next((one for one in model._meta.concrete_fields if one.attname == name), None)


def _verbose(model: type[ConfigRecord], name: str) -> Any:
    found = _field(model, name)
    return found.verbose_name if found is not None else name


def _from_json(model: type[ConfigRecord], name: str, value: Any) -> Any:
    found = _field(model, name)
    return value if found is None or value is None else found.to_python(value)


def _nobody() -> Any:
    """The user to whom changes belong that no person made. Nobody can log in as this one."""
    users = get_user_model()
    found, made = users.objects.get_or_create(username=NOBODY, defaults={"is_active": False})
    if made:
        found.set_unusable_password()
        found.save(update_fields=["password"])
    return found.pk
