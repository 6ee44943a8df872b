"""Stamps in forms, so that two people who edit one record do not overwrite each other unnoticed.

A form carries a stamp: a short digest of each value of its record and of the records edited with it. If a
stored value has changed when the form comes back, it is not saved: it says which value, and carries the new
stamp, so saving again is a decision.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from gateway.models import ConfigRecord, EncryptedTextField, Sealed, SecretOriginField

FIELD: Final = "_record_stamp"
_SHOWN: Final = 80


def stamp_of(record: ConfigRecord, inlines: Any = ()) -> str:
    """The stamp of a stored record and of the records that these inlines edit. Reads the database."""
    return json.dumps({name: digest for name, digest, _said in _values(record, inlines)})


def stamped(form: Any, record: ConfigRecord, inlines: Any = ()) -> Any:
    """A form class like `form` that is invalid if `record` no longer matches the stamp.

    A POST without a stamp was not made by one of our pages and is accepted.
    """

    class StampedForm(form):
        def clean(self) -> Any:
            cleaned = super().clean()
            text = self.data.get(FIELD)
            changed = list(_changed(text, record, inlines)) if text else []
            if changed:
                self.add_error(
                    None,
                    ValidationError(
                        _(
                            "Not saved: somebody changed this record while your form was open. It is now: "
                            "%(changed)s. Save again to put your values in their place, or load the page "
                            "again to begin with theirs."
                        )
                        % {"changed": "; ".join(changed)},
                        code="changed_meanwhile",
                    ),
                )
            return cleaned

    return StampedForm


def _changed(text: str, record: ConfigRecord, inlines: Any) -> Iterator[str]:
    try:
        before = json.loads(text)
    except (ValueError, RecursionError):
        before = None
    if not isinstance(before, dict):
        before = {}
    now = _values(record, inlines, lock=True)
    for name, digest, said in now:
        if before.pop(name, None) != digest:
            yield said
    if before:
        # the rest was removed since
        yield _("%(count)d values removed") % {"count": len(before)}


def _values(record: ConfigRecord, inlines: Any, lock: bool = False) -> list[tuple[str, str, str]]:
    """(name, digest, text for people) of each stored value."""
    found: list[tuple[str, str, str]] = []
    rows = type(record)._base_manager.filter(pk=record.pk)
    # of two forms that arrive at once, the second waits for the first
    for stored in rows.select_for_update() if lock else rows:
        found += _of(stored, "", "")
    for inline in inlines:
        owner = type(record)._meta.concrete_model
        key = next(one.name for one in inline.model._meta.fields if one.related_model is owner)
        for other in inline.model._base_manager.filter(**{key: record.pk}).order_by("pk"):
            found += _of(
                other, f"{inline.opts.model_name}/{other.pk}/", f"{inline.opts.verbose_name} {other}, "
            )
    return found


def _of(record: Any, start: str, title: str) -> Iterator[tuple[str, str, str]]:
    for field in record._meta.concrete_fields:
        if field.primary_key or getattr(field, "auto_now", False) or field.attname in record.stampless_fields:
            continue
        value = getattr(record, field.attname)
        secret = isinstance(field, EncryptedTextField | SecretOriginField) or field.attname == "digest"
        plain = value.token if isinstance(value, Sealed) else value
        text = json.dumps(plain, cls=DjangoJSONEncoder, sort_keys=True)
        digest = salted_hmac("gateway.record_stamp", text).hexdigest()[:16]
        said = _("another value") if secret else _shown(record, field)
        yield start + field.attname, digest, f"{title}{field.verbose_name}: {said}"


def _shown(record: Any, field: Any) -> str:
    value = getattr(record, field.name)
    if value is True or value is False:
        return _("yes") if value else _("no")
    if value in (None, "", []):
        return _("empty")
    display = getattr(record, f"get_{field.name}_display", None)
    text = str(display() if display else value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
