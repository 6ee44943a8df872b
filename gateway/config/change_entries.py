"""What the log entry of a change says: its message, written and read again.

A message is Django's own list of objects. The first is about the record that the entry names, and also has
`values`, for each field [before, after] as JSON; `source`, what made the change when no person did; and
`said`, a sentence about it. Records that are edited on another record's page (the targets of a mapping) are
objects of the entry of that page's record, each with a `part`. Of secrets it has `field_values.SECRET` only,
so that a change is seen and its value is not. `gateway.config.changes` makes the entries.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.core.serializers.json import DjangoJSONEncoder

from gateway.config.field_values import SECRET, verbose
from gateway.models import ConfigRecord

_VERBS: Final = {ADDITION: "added", CHANGE: "changed", DELETION: "deleted"}
# of the first object of a message: what is not about a record's values
META: Final = frozenset({"source", "undone", "said"})

Message = list[dict[str, Any]]


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


def changes_of(entry: LogEntry) -> list[RecordChange]:
    """What an entry says of each record, the record that it names first; empty when it has no values."""
    found = []
    for message in message_of(entry):
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


def values_of(entry: LogEntry) -> dict[str, list[Any]]:
    """{field: [before, after]} of the record that an entry names; empty for one that has none."""
    return dict(message_of(entry)[0].get("values", {}))


def said_of(entry: LogEntry) -> str:
    """The sentence about a change that its page added, or ""."""
    return str(message_of(entry)[0].get("said", ""))


def source_of(entry: LogEntry) -> str:
    """command, environment, file, learnt, ramp, or "" for a person."""
    return str(message_of(entry)[0].get("source", ""))


def undone_by(entry: LogEntry) -> int:
    """The primary key of the entry that this one undid; 0 for none."""
    return int(message_of(entry)[0].get("undone", 0))


def with_sentence(message: Message, sentence: str) -> Message:
    first = {**message[0], "said": f"{message[0].get('said', '')} {sentence}".strip()}
    return [first, *message[1:]] if sentence else message


def with_change(message: Message, change: RecordChange) -> Message:
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
    return [*kept, part_of(change, flag, values)]


def part_of(change: RecordChange, flag: int, values: dict[str, list[Any]]) -> dict[str, Any]:
    """The object of a message that says what became of one record of several."""
    name = change.model._meta.label_lower
    part = {"model": name, "pk": change.pk, "title": change.title, "flag": flag, "values": values}
    told: dict[str, Any] = {"name": str(change.model._meta.verbose_name), "object": change.title}
    if flag == CHANGE:
        told["fields"] = _names(change.model, values)
    return {_VERBS[flag]: told, "part": part}


def _of_own(first: dict[str, Any], change: RecordChange) -> dict[str, Any]:
    flag, values = _merged(first, change) if "values" in first else (0, {})
    if not flag:
        flag, values = change.flag, change.values
    meta = {key: value for key, value in first.items() if key in META}
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


def written(message: Message) -> str:
    return json.dumps(message, cls=DjangoJSONEncoder, ensure_ascii=False)


def _names(model: type[ConfigRecord], values: Any) -> list[str]:
    return [str(verbose(model, name)) for name in values]


def _model(label: str) -> Any:
    try:
        return apps.get_model(label)
    except LookupError:
        return None


def message_of(entry: LogEntry) -> Message:
    """The objects of an entry's message, at least one; the first is about the record that it names."""
    try:
        message = json.loads(entry.change_message or "[]")
    except ValueError:
        return [{}]
    found: Message = []
    if isinstance(message, list):
        found = [one for one in message if isinstance(one, dict)]
    return found or [{}]
