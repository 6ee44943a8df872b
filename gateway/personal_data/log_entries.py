"""Taking a person's name out of the log of changes, so that what it says of other things stays undoable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q

from gateway.config.change_entries import changes_of
from gateway.personal_data.places import PLACES, Place
from gateway.personal_data.wording import Person, is_plain, reworded, without

# the records that are about a person: {model: primary keys}
Own = dict[Any, set[str]]

# of a change, what says how it came about
_KEPT: Final = ("source", "undone", "flag", "said")
_VERBS: Final = ("added", "changed", "deleted")
_LONGEST: Final = LogEntry._meta.get_field("object_repr").max_length


def reword_log(own: Own, user_pk: int, person: Person) -> None:
    """Entries about the person's own records keep what was done and by whom; others lose the name alone.

    Of other records, values change only in fields that the erasure rewords in the record, too: undoing
    writes them back. `own` is completed by what was theirs and deleted before.
    """
    _add_deleted(own, user_pk)
    about = Q(pk=None)
    for model, pks in own.items():
        about |= Q(content_type=ContentType.objects.get_for_model(model), object_id__in=pks)
    for entry in LogEntry.objects.filter(about).order_by():
        kept = [
            {key: _anywhere(first[key], person) for key in _KEPT if key in first}
            for first in _messages(entry)[:1]
        ]
        _store(entry, person.instead, json.dumps(kept, ensure_ascii=False))
    for entry in LogEntry.objects.filter(_mentions(own, person)).order_by():
        model = entry.content_type.model_class() if entry.content_type else None
        told = [_message(one, model, own, person) for one in _messages(entry)]
        if told:
            message = json.dumps(told, ensure_ascii=False)
        else:
            message = without(entry.change_message, person.names, person.instead)
        _store(entry, _title(model, entry.object_repr, person), message)


def _add_deleted(own: Own, user_pk: int) -> None:
    for entry in LogEntry.objects.filter(change_message__contains='"user_id": [').order_by():
        for change in changes_of(entry):
            if change.model not in own or user_pk not in change.values.get("user_id", ()):
                continue
            if not change.model._base_manager.filter(pk=change.pk).exists():
                own[change.model].add(change.pk)


def _mentions(own: Own, person: Person) -> Q:
    found = Q(pk=None)
    for name in {*person.distinct, *person.keys}:
        # Django's own pages write other letters than ASCII as escapes
        for plain in (False, True):
            written = json.dumps(name, ensure_ascii=plain)[1:-1]
            found |= Q(change_message__icontains=written)
        found |= Q(object_repr__contains=name)
    # where a name is found by what the field means, however short or quoted it is
    meant = {field for label, place in PLACES.items() for field in place.named if not is_plain(label, field)}
    for field in meant:
        found |= Q(change_message__contains=f'"{field}": [')
    for pks in own.values():
        for pk in pks:
            found |= Q(change_message__contains=f'"pk": "{pk}"')
    return found


def _message(message: dict[str, Any], model: Any, own: Own, person: Person) -> dict[str, Any]:
    part = message.get("part")
    if isinstance(part, dict):
        model = _model(part.get("model"))
        if part.get("pk") in own.get(model, ()):
            return {"part": {**part, "title": person.instead, "values": {}}}
    if model is None:
        told: dict[str, Any] = _anywhere(message, person)
        return told
    told = dict(message)
    if "said" in told:
        told["said"] = _anywhere(told["said"], person)
    for verb in _VERBS:
        if isinstance(told.get(verb), dict) and "object" in told[verb]:
            told[verb] = {**told[verb], "object": _title(model, told[verb]["object"], person)}
    if "values" in told:
        told["values"] = _values(model, told["values"], person)
    if isinstance(part, dict):
        title, values = part.get("title", ""), part.get("values", {})
        told["part"] = {
            **part, "title": _title(model, title, person), "values": _values(model, values, person)
        }  # fmt: skip
    return told


def _values(model: Any, values: Any, person: Person) -> Any:
    """{field: [before, after]} with what the record has now that it was reworded."""
    if not isinstance(values, Mapping):
        return values
    named = _place(model).named
    return {
        field: [reworded(model._meta.label, field, one, person) for one in both]
        if field in named and isinstance(both, list)
        else both
        for field, both in values.items()
    }


def _title(model: Any, title: Any, person: Person) -> Any:
    """What a record is called. A model or a provider may be called like a person."""
    if not isinstance(title, str):
        return title
    named = model is None or "name" in _place(model).named
    return without(title, person.names if named else person.unmistakable, person.instead)


def _anywhere(value: Any, person: Person) -> Any:
    if isinstance(value, str):
        return without(value, person.distinct, person.instead)
    if isinstance(value, list):
        return [_anywhere(one, person) for one in value]
    if isinstance(value, dict):
        return {key: _anywhere(one, person) for key, one in value.items()}
    return value


def _store(entry: LogEntry, title: str, message: str) -> None:
    entry.object_repr = title[:_LONGEST]
    entry.change_message = message
    entry.save(update_fields=["object_repr", "change_message"])


def _place(model: Any) -> Place:
    return PLACES[model._meta.label]


def _model(label: Any) -> Any:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError, AttributeError, TypeError):
        return None


def _messages(entry: LogEntry) -> list[dict[str, Any]]:
    try:
        told = json.loads(entry.change_message or "[]")
    except ValueError:
        return []
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
