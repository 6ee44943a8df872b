"""The fields of a record as an entry of the file has them: written, checked, assigned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db.models import BooleanField, DecimalField, FloatField, IntegerField, JSONField
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.models import ConfigRecord
from gateway.wire.messages import JSONObject

# what the gateway decides itself, what is secret, and what an entry says by other means
_NOT_IN_THE_FILE: Final = frozenset(
    {"id", "origin", "environment_key", "created", "updated", "brought_back_at", "last_used", "revoked_at",
     "credential", "headers", "digest", "prefix", "last_four", "mapping", "provider", "learnt_at",
     "headers_origin", "value_origin", "proxy_login", "proxy_login_origin", "client_key", "client_key_origin",
     "lineage", "rotated_to", "user", "address", "client",
     "target", "state", "step", "step_since", "ended_at", "figures",
     "group", "correction", "corrected_period", "revision"}
)  # fmt: skip

_KINDS: Final[dict[type, str]] = {
    str: "a text", bool: "true or false", int: "a whole number", float: "a number", list: "a list",
    dict: "an object",
}  # fmt: skip


class Unusable(ValueError):
    """The file cannot be taken in; the message says where and why."""


def as_json(record: ConfigRecord) -> JSONObject:
    """The record's fields as JSON values, in the order of the model."""
    plain: JSONObject = json.loads(json.dumps(values(record), default=_plain))
    return plain


def values(record: ConfigRecord) -> dict[str, Any]:
    """The record's fields by name, as Python values."""
    names = [field.name for field in record._meta.concrete_fields if field.name not in _NOT_IN_THE_FILE]
    return {name: getattr(record, name) for name in names}


def assign(record: ConfigRecord, item: Mapping[str, Any]) -> None:
    """Set the record's fields to an entry's values. Raises Unusable for an unknown field or a wrong type."""
    fields = {
        field.name: field for field in record._meta.concrete_fields if field.name not in _NOT_IN_THE_FILE
    }
    for name, value in item.items():
        if name not in fields:
            raise Unusable(
                _("%(name)r is no field; there are %(fields)s") % {"name": name, "fields": ", ".join(fields)}
            )
        setattr(record, name, _as_field(fields[name], value))


def save(record: ConfigRecord, before: Mapping[str, Any], **more: Any) -> None:
    """Save the record if it differs from `before`, so that loading a file again changes nothing.

    `more` is compared beside the fields; pass an empty `before` to save in any case.
    Raises ValidationError.
    """
    if record.pk is None or {**values(record), **more} != before:
        record.full_clean()
        record.save()


def a_list(value: Any, where: str) -> list[Any]:
    """The value, which must be a list. Raises Unusable that names `where`."""
    if not isinstance(value, list):
        raise Unusable(_("%(where)s must be a list") % {"where": where})
    return value


def an_object(value: Any, where: str) -> JSONObject:
    """A copy of the value, which must be an object. Raises Unusable that names `where`."""
    if not isinstance(value, dict):
        raise Unusable(_("%(where)s must be an object") % {"where": where})
    return dict(value)


def a_text(item: Mapping[str, Any], name: str) -> str:
    """The text of an entry's field, which must not be empty. Raises Unusable."""
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise Unusable(_("%(name)r is missing") % {"name": name})
    return value


def _plain(value: Any) -> Any:
    # isoformat keeps the microseconds: a time that is cut would differ when it is read again
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _as_field(field: Any, value: Any) -> Any:
    """A JSON value as the field's type. Raises Unusable for a value of another kind."""
    if value is None:
        return None
    kinds: tuple[type, ...] = (str,)
    if isinstance(field, JSONField):
        kinds = (list,) if field.get_default() == [] else (dict,)
    elif isinstance(field, BooleanField):
        kinds = (bool,)
    elif isinstance(field, IntegerField):
        kinds = (int,)
    elif isinstance(field, FloatField):
        kinds = (int, float)
    elif isinstance(field, DecimalField):
        kinds = (int, float, str)
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds != (bool,)):
        wanted = " / ".join(_KINDS[kind] for kind in kinds)
        raise Unusable(_("%(name)s must be: %(kind)s") % {"name": field.name, "kind": wanted})
    if isinstance(field, DecimalField):
        # through its text, so that 0.1 stays 0.1
        return field.to_python(str(value))
    result = field.to_python(value)
    if isinstance(result, datetime) and timezone.is_naive(result):
        # as the database would read it; without a zone it would differ from the stored one at each start
        result = timezone.make_aware(result)
    return result
