"""Who changed the configuration: each save becomes one entry of Django's log, values included.

An entry's message is Django's own list. Its first object also has `values`, for each field
[before, after] as JSON; `source`, what did it when that was no person; and `said`, a sentence about it.
Records that are edited on another record's page (the targets of a mapping) are `part` of the entry of
that page's record, one object of the list each. Secrets appear as `field_values.SECRET` only, so a change
of one is seen and its value is not. Changes that nobody signed for (commands, the environment) belong to a
user who cannot log in. `gateway.config.undoing` takes a change back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.serializers.json import DjangoJSONEncoder

from gateway.config.field_values import SECRET, shown_values, verbose
from gateway.models import ConfigRecord, config_written

NOBODY: Final = "ccproxy"
COMMAND: Final = "command"
ENVIRONMENT: Final = "environment"
FILE: Final = "file"
LEARNT: Final = "learnt"
RAMP: Final = "ramp"
_VERBS: Final = {ADDITION: "added", CHANGE: "changed", DELETION: "deleted"}
# of the first object of a message: what is not about a record's values
_META: Final = frozenset({"source", "undone", "said"})
# records of one entry of `together`: its text is read and written again with each of them
MOST_TOGETHER: Final = 200


class RecordChange(NamedTuple):
    """What became of one record. `values`: {field: [before, after]}; `flag`: ADDITION, CHANGE or DELETION.

    `is_part`: the record is edited on the page of the one that the entry names.
    """

    model: type[ConfigRecord]
    pk: str
    title: str
    flag: int
    values: dict[str, list[Any]]
    is_part: bool


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
    _store(entry, _said(_messages(entry), sentence))
    return True


def _said(message: list[dict[str, Any]], sentence: str) -> list[dict[str, Any]]:
    first = {**message[0], "said": f"{message[0].get('said', '')} {sentence}".strip()}
    return [first, *message[1:]] if sentence else message


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
        _store(entry, _said(_with(_messages(entry), change), actor.sentence))
    actor.noted[sender, change.pk] = noted
    if page is not None:
        actor.noted[page] = noted


config_written.connect(note, dispatch_uid="gateway.changes.note")


def changes_of(entry: LogEntry) -> list[RecordChange]:
    """What an entry says of each record, the record that it names first; empty when it has no values."""
    found = []
    for message in _messages(entry):
        part = message.get("part")
        if part:
            found.append(
                RecordChange(
                    _model(part["model"]), part["pk"], part["title"], part["flag"], part["values"], True
                )
            )
        elif message.get("values") and entry.content_type:
            model: Any = entry.content_type.model_class()
            facts = (entry.object_id or "", entry.object_repr, entry.action_flag, message["values"])
            found.append(RecordChange(model, *facts, is_part=False))
    return [change for change in found if change.model and issubclass(change.model, ConfigRecord)]


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


def values_of(entry: LogEntry) -> dict[str, list[Any]]:
    """{field: [before, after]} of the record that an entry names; empty for one that has none."""
    return dict(_messages(entry)[0].get("values", {}))


def said_of(entry: LogEntry) -> str:
    """The sentence about a change that its page added, or ""."""
    return str(_messages(entry)[0].get("said", ""))


def source_of(entry: LogEntry) -> str:
    """command, environment, file, learnt, ramp, or "" for a person."""
    return str(_messages(entry)[0].get("source", ""))


def undone_by(entry: LogEntry) -> int:
    """The primary key of the entry that this one undid; 0 for none."""
    return int(_messages(entry)[0].get("undone", 0))


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
    message = [{key: value for key, value in _messages(entry)[0].items() if key in _META}]
    for change in changes_of(entry):
        message = _with(message, change._replace(is_part=True))
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
        change_message=_written(_said(_with([meta], change), actor.sentence)),
    )


def _with(message: list[dict[str, Any]], change: RecordChange) -> list[dict[str, Any]]:
    """The message with one change more; of a record that is in it, what it was before and is now."""
    if not change.is_part:
        return [_of_own(message[0], change), *message[1:]]
    name = change.model._meta.label_lower
    parts = [one for one in message[1:] if one["part"]["model"] == name and one["part"]["pk"] == change.pk]
    known = parts[0]["part"] if parts else None
    flag, values = _merged(known, change) if known else (change.flag, change.values)
    kept = [one for one in message if one not in parts]
    if not (values and flag):
        return kept
    return [*kept, _part(change, flag, values)]


def _part(change: RecordChange, flag: int, values: dict[str, list[Any]]) -> dict[str, Any]:
    """The object of a message that says what became of one record of several."""
    name = change.model._meta.label_lower
    part = {"model": name, "pk": change.pk, "title": change.title, "flag": flag, "values": values}
    told: dict[str, Any] = {"name": str(change.model._meta.verbose_name), "object": change.title}
    if flag == CHANGE:
        told["fields"] = _names(change.model, values)
    return {_VERBS[flag]: told, "part": part}


def _append(entry: LogEntry, change: RecordChange) -> None:
    """Add a record that the entry does not have yet, without reading the others again."""
    text = _written([_part(change, change.flag, change.values)])
    entry.change_message = f"{entry.change_message.removesuffix(']')}, {text.removeprefix('[')}"
    entry.save(update_fields=["change_message", "object_id", "object_repr", "action_flag"])


def _of_own(first: dict[str, Any], change: RecordChange) -> dict[str, Any]:
    flag, values = _merged(first, change) if "values" in first else (0, {})
    if not flag:
        flag, values = change.flag, change.values
    meta = {key: value for key, value in first.items() if key in _META}
    told: dict[str, Any] = {"fields": _names(change.model, values)} if flag == CHANGE else {}
    return {"values": values, "flag": flag, **meta, _VERBS[flag]: told}


def _merged(known: dict[str, Any], change: RecordChange) -> tuple[int, dict[str, list[Any]]]:
    """Two changes of one record as one: (flag, values). Flag 0: it came and went."""
    flags = known.get("flag", CHANGE), change.flag
    if flags == (ADDITION, DELETION):
        return 0, {}
    old = known["values"]
    values = {
        name: [old[name][0] if name in old else change.values[name][0],
               change.values[name][1] if name in change.values else old[name][1]]
        for name in {**old, **change.values}
    }  # fmt: skip
    if flags == (DELETION, ADDITION) or (CHANGE in flags and flags[0] == flags[1]):
        # what was changed and changed back; a secret is never seen to be the same
        values = {name: both for name, both in values.items() if both[0] != both[1] or SECRET in both}
    flag = CHANGE if flags == (DELETION, ADDITION) else flags[0] if flags[1] == CHANGE else flags[1]
    return flag, values


def _store(entry: LogEntry, message: list[dict[str, Any]]) -> None:
    entry.action_flag = message[0].get("flag", entry.action_flag)
    entry.change_message = _written(message)
    entry.save(update_fields=["action_flag", "change_message", "object_id", "object_repr"])


def _written(message: list[dict[str, Any]]) -> str:
    return json.dumps(message, cls=DjangoJSONEncoder, ensure_ascii=False)


def _names(model: type[ConfigRecord], values: Any) -> list[str]:
    return [str(verbose(model, name)) for name in values]


def _model(label: str) -> Any:
    try:
        return apps.get_model(label)
    except LookupError:
        return None


def _messages(entry: LogEntry) -> list[dict[str, Any]]:
    """The objects of an entry's message, at least one; the first is about the record that it names."""
    try:
        message = json.loads(entry.change_message or "[]")
    except ValueError:
        return [{}]
    found: list[dict[str, Any]] = []
    if isinstance(message, list):
        found = [one for one in message if isinstance(one, dict)]
    return found or [{}]


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
