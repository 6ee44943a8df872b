"""Taking a change of the configuration back: the values from before are saved again."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.db.models import ProtectedError
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.config.change_entries import RecordChange, changes_of
from gateway.config.field_values import from_json, is_secret, shown_values, verbose
from gateway.models import ClientKey, ConfigRecord, EncryptedTextField, Provider, Ramp, is_left_behind


class CannotUndo(ValueError):
    """The message says why, for an admin."""


def undoable(entry: LogEntry) -> list[RecordChange]:
    """The changes of an entry that undoing it takes back itself; the rest goes or comes with them."""
    changes = changes_of(entry)
    if changes and not changes[0].is_part and changes[0].flag == ADDITION:
        return changes[:1]
    return changes


def undo(entry: LogEntry) -> str:
    """Give the records of an entry the values they had before, by the way of saving; says what was done.

    Call it in a transaction. Raises CannotUndo.
    """
    changes = undoable(entry)
    if not changes:
        raise CannotUndo(_("This entry does not say what was before."))
    # beside what can be taken back, secrets are left as they are
    some = [change for change in changes if not _only_secrets(change)] or changes
    return " ".join(dict.fromkeys(_undone(change) for change in some))


def _only_secrets(change: RecordChange) -> bool:
    return change.flag == CHANGE and all(is_secret(change.model, name) for name in change.values)


def _undone(change: RecordChange) -> str:
    record = change.model.objects.filter(pk=change.pk).first()
    if change.flag == DELETION:
        return _made_again(change.model, change, change.values, record)
    if record is None:
        raise CannotUndo(_("The record is gone. Undo its deletion first."))
    if change.flag == ADDITION:
        return _removed(record)
    return _changed_back(record, change.values)


def _changed_back(record: ConfigRecord, values: dict[str, list[Any]]) -> str:
    left_out = [name for name in values if is_secret(type(record), name)]
    now = shown_values(type(record), {name: getattr(record, name, None) for name in values})
    for name, (_before, after) in values.items():
        if name not in left_out and now[name] != after:
            raise CannotUndo(
                _("%(field)s was changed again since. Undo the later change first.")
                % {"field": verbose(type(record), name)}
            )
    if "origin" in values:
        raise CannotUndo(_("Who keeps a record is not undone. Nothing was changed."))
    restored = [name for name in values if name not in left_out]
    if not restored:
        raise CannotUndo(_("Only secrets were changed, and their old values are not kept."))
    had_ended = isinstance(record, Ramp) and not record.is_active
    for name in restored:
        setattr(record, name, from_json(type(record), name, values[name][0]))
    if had_ended:
        _begin_step_anew(record)
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


def _begin_step_anew(record: ConfigRecord) -> None:
    """The step of a ramp that is under way again begins now: its guards do not judge by what they judged."""
    if isinstance(record, Ramp) and record.is_active and record.step_since is not None:
        record.step_since = timezone.now()


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


def _made_again(model: Any, change: RecordChange, values: dict[str, list[Any]], there: Any) -> str:
    if there is not None:
        raise CannotUndo(_("The record is there again already."))
    if model is ClientKey:
        raise CannotUndo(
            _("A client key that was deleted cannot come back: nothing is kept of it. Issue another.")
        )
    plain = {name: before for name, (before, _after) in values.items() if not is_secret(model, name)}
    record = model(pk=change.pk, **{name: from_json(model, name, value) for name, value in plain.items()})
    _begin_step_anew(record)
    record.full_clean(exclude=[name for name in values if is_secret(model, name)])
    record.save(force_insert=True)
    return _("Made again. Secrets are not kept: enter them anew.")
