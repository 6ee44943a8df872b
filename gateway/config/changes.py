"""Who changed the configuration: each save becomes one entry of Django's log, values included.

Changes that no person made (commands, the environment) belong to an account that cannot log in.
`gateway.config.change_entries` knows what an entry says, `gateway.config.undoing` takes a change back.
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

from gateway.config.change_entries import (
    META,
    RecordChange,
    changes_of,
    message_of,
    part_of,
    with_change,
    with_sentence,
    written,
)
from gateway.config.field_values import shown_values
from gateway.models import ConfigRecord, config_written

NOBODY: Final = "ccproxy"
COMMAND: Final = "command"
ENVIRONMENT: Final = "environment"
FILE: Final = "file"
LEARNT: Final = "learnt"
RAMP: Final = "ramp"
# records of one entry of `together`: its text is read and written again with each of them
MOST_TOGETHER: Final = 200


@dataclass
class _Noted:
    """Where the entry of a record is, what it is about, and how many records `together` put into it."""

    pk: int
    content_type_id: int
    object_id: str
    gathered: int = 1

    def entry(self) -> LogEntry | None:
        """The entry as it is stored; None when it was rolled back, also when its number was given again."""
        about = {"content_type_id": self.content_type_id, "object_id": self.object_id}
        return LogEntry.objects.filter(pk=self.pk, **about).first()


@dataclass
class Actor:
    """Who acts: a user's primary key, or None and a source. `undone`: the entry that is being undone.

    `noted`: the entry of each record that was changed, by (model, primary key). `together`: a model whose
    records share one entry, and its title. `sentence`: what is said of each change.
    """

    user_pk: Any = None
    source: str = ""
    undone: int = 0
    noted: dict[tuple[Any, str], _Noted] = field(default_factory=dict)
    together: tuple[Any, str] | None = None
    sentence: str = ""


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


@contextmanager
def together(model: type[ConfigRecord], title: str) -> Iterator[None]:
    """Inside, changes of several records of `model` are one entry that is named `title`.

    More than MOST_TOGETHER records are several entries.
    """
    actor = _actor.get()
    if actor is None:
        yield
        return
    outer, actor.together = actor.together, (model, title)
    try:
        yield
    finally:
        actor.together = outer


@contextmanager
def saying(sentence: str) -> Iterator[None]:
    """Inside, the entry of each changed record says `sentence` from the start; `say` writes it once more."""
    actor = _actor.get()
    if actor is None:
        yield
        return
    outer, actor.sentence = actor.sentence, str(sentence)
    try:
        yield
    finally:
        actor.sentence = outer


def say(record: Any, sentence: str) -> bool:
    """Add a sentence to the entry of a record that was just changed. False: there is none."""
    actor = _actor.get()
    noted = actor.noted.get((type(record), str(record.pk))) if actor else None
    entry = noted and noted.entry()
    if not entry:
        return False
    _store(entry, with_sentence(message_of(entry), sentence))
    return True


def note(sender: type[ConfigRecord], pk: Any, title: str, before: Any, after: Any, **_more: Any) -> None:
    """Receives config_written."""
    values = _differences(sender, before, after)
    if not values:
        return
    actor = _actor.get() or Actor(source=COMMAND)
    flag = ADDITION if before is None else DELETION if after is None else CHANGE
    change = RecordChange(sender, str(pk), title[:200], flag, values, is_part=False)
    # without an act that holds them together each record has an entry of its own
    page = _page_of(sender, after or before) if _actor.get() else None
    if page is not None:
        change = change._replace(is_part=True)
    noted = actor.noted.get((sender, change.pk)) or (actor.noted.get(page) if page else None)
    entry = noted.entry() if noted else None
    is_new = False
    if entry is None and actor.together is not None and actor.together[0] is sender:
        newest = (one for (model, _pk), one in reversed(actor.noted.items()) if model is sender)
        noted = next(newest, None)
        entry = noted.entry() if noted and noted.gathered < MOST_TOGETHER else None
        if noted and entry:
            _gather(entry, actor.together[1])
            noted.object_id = ""
            noted.gathered += 1
            is_new = True
    if entry is not None and not entry.object_id:
        # it is about several records, and names none
        change = change._replace(is_part=True)
    if entry is None or noted is None:
        entry = _new_entry(actor, change, page)
        noted = _Noted(entry.pk, entry.content_type_id or 0, entry.object_id or "")
    elif is_new and not actor.sentence:
        _append(entry, change)
    else:
        if not change.is_part:
            entry.object_repr = change.title
        _store(entry, with_sentence(with_change(message_of(entry), change), actor.sentence))
    actor.noted[sender, change.pk] = noted
    if page is not None:
        actor.noted[page] = noted


config_written.connect(note, dispatch_uid="gateway.changes.note")


def note_account(user: Any, field_name: str, before: Any, after: Any) -> None:
    """Log a change of an account that no page of Django's made, as its page would."""
    fields = [str(user._meta.get_field(field_name).verbose_name)]
    _log_account(user, {"changed": {"fields": fields}, "values": {field_name: [before, after]}})


def note_sentence(user: Any, sentence: str) -> None:
    """Log what was done to an account, in a sentence."""
    _log_account(user, {"said": sentence})


def _log_account(user: Any, message: dict[str, Any]) -> None:
    actor = _actor.get() or Actor(source=COMMAND)
    if actor.source:
        message["source"] = actor.source
    LogEntry.objects.create(
        user_id=actor.user_pk or _nobody(),
        content_type=ContentType.objects.get_for_model(type(user)),
        object_id=str(user.pk),
        object_repr=str(user)[:200],
        action_flag=CHANGE,
        change_message=json.dumps([message], cls=DjangoJSONEncoder, ensure_ascii=False),
    )


def _page_of(model: type[ConfigRecord], values: Any) -> tuple[Any, str] | None:
    """The record on whose page records of `model` are edited: (model, primary key)."""
    if not model.edited_with:
        return None
    owner: Any = model._meta.get_field(model.edited_with).related_model
    return owner, str(values[f"{model.edited_with}_id"])


def _gather(entry: LogEntry, title: str) -> None:
    """Make the entry of one record one about several, if it is not yet."""
    if not entry.object_id:
        return
    message = [{key: value for key, value in message_of(entry)[0].items() if key in META}]
    for change in changes_of(entry):
        message = with_change(message, change._replace(is_part=True))
    entry.object_id, entry.object_repr, entry.action_flag = "", title[:200], CHANGE
    _store(entry, message)


def _new_entry(actor: Actor, change: RecordChange, page: tuple[Any, str] | None) -> LogEntry:
    meta: dict[str, Any] = {"source": actor.source} if actor.source else {}
    if actor.undone:
        meta["undone"] = actor.undone
    model, pk, title, flag = change.model, change.pk, change.title, change.flag
    if page is not None:
        owner = page[0]._base_manager.filter(pk=page[1]).first()
        model, pk, title, flag = *page, str(owner) if owner else title, CHANGE
    return LogEntry.objects.create(
        user_id=actor.user_pk or _nobody(),
        content_type=ContentType.objects.get_for_model(model),
        object_id=pk,
        object_repr=title[:200],
        action_flag=flag,
        change_message=written(with_sentence(with_change([meta], change), actor.sentence)),
    )


def _append(entry: LogEntry, change: RecordChange) -> None:
    """Add a record that the entry does not have yet, without reading the others again."""
    text = written([part_of(change, change.flag, change.values)])
    entry.change_message = f"{entry.change_message.removesuffix(']')}, {text.removeprefix('[')}"
    entry.save(update_fields=["change_message", "object_id", "object_repr", "action_flag"])


def _store(entry: LogEntry, message: list[dict[str, Any]]) -> None:
    entry.action_flag = message[0].get("flag", entry.action_flag)
    entry.change_message = written(message)
    entry.save(update_fields=["action_flag", "change_message", "object_id", "object_repr"])


def _differences(model: type[ConfigRecord], before: Any, after: Any) -> dict[str, list[Any]]:
    old, new = shown_values(model, before or {}), shown_values(model, after or {})
    return {
        name: [old.get(name), new.get(name)]
        for name in (after or before or {})
        if before is None or after is None or before[name] != after[name]
    }


def command_user() -> Any:
    """The account to which belongs what commands do and read."""
    return get_user_model().objects.get(pk=_nobody())


def _nobody() -> Any:
    """The user to whom changes belong that no person made. Nobody can log in as this one."""
    users = get_user_model()
    found, made = users.objects.get_or_create(username=NOBODY, defaults={"is_active": False})
    if made:
        found.set_unusable_password()
        found.save(update_fields=["password"])
    return found.pk
