"""The section of client keys; a key's secret is never written."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from gateway.config.file.fields import Unusable, a_text, as_json, assign, save, values
from gateway.config.file.intake import Intake
from gateway.config.file.variables import VariableNames, secret
from gateway.models import ClientKey, Origin
from gateway.security import client_keys
from gateway.wire.messages import JSONObject

_HEXADECIMAL: Final = frozenset("0123456789abcdef")


def entries(_names: VariableNames) -> list[JSONObject]:
    """Each key in use that an admin keeps, by name."""
    kept = ClientKey.objects.filter(origin=Origin.ADMIN, revoked_at=None).select_related("user")
    return [
        as_json(one) if one.user is None else {**as_json(one), "user": one.user.get_username()}
        for one in sorted(kept, key=lambda one: (one.name, one.pk))
    ]


def take(item: JSONObject, intake: Intake) -> ClientKey | None:
    """Make the key what the entry says; None when there is no such key and no secret to make one of.

    Raises Unusable, ValidationError.
    """
    name, shown = a_text(item, "name"), item.pop("key", None)
    digest = _digest(shown)
    text = "" if digest else secret(shown, intake.secrets)
    digest = digest or (client_keys.digest(text) if text else "")
    owner = item.pop("user", None)
    # the secret identifies the record, even if that was renamed or revoked
    of_secret = ClientKey.objects.filter(digest=digest) if digest else None
    by_secret: ClientKey | None = of_secret.first() if of_secret is not None else None
    if by_secret is not None and (by_secret.revoked_at or by_secret.origin != Origin.ADMIN):
        intake.warn(
            _("key %(name)s: revoked here, or kept by the environment; left as it is") % {"name": name}
        )
        return by_secret
    named = ClientKey.objects.filter(name=name, origin=Origin.ADMIN, revoked_at=None).order_by("pk")
    if intake.foreign and digest:
        # a key of this name with another secret belongs to somebody else
        named = named.none()
    record: ClientKey | None = intake.next_of("key", [by_secret] if by_secret else named)
    if record is None:
        if not digest:
            intake.warn(
                _('key %(name)s: not here; issue it, or give "key": {"env": "VARIABLE"} in the file')
                % {"name": name}
            )
            return None
        record = ClientKey(digest=digest)
        if text:
            record.set_key(text)
        if text and record.is_short:
            intake.warn(_("key %(name)s: so short that it can be guessed; rotate it") % {"name": name})
    before = {**values(record), "user": record.user_id, "digest": record.digest} if record.pk else {}
    if text and record.digest != digest:
        # the file has another secret for this key: from now on the former is refused
        record.set_key(text)
    elif digest and record.digest != digest:
        intake.warn(_("key %(name)s: there is one with another secret here; it keeps that") % {"name": name})
    assign(record, item)
    if owner is not None:
        record.user = get_user_model().objects.filter(username=str(owner)).first()
        if record.user is None:
            raise Unusable(_("there is no user %(name)r here") % {"name": owner})
    save(record, before, user=record.user_id, digest=record.digest)
    intake.taken("key", record)
    return record


def _digest(value: Any) -> str:
    """The hex digest of {"sha256": DIGEST}, for a key whose secret nobody has; else "". Raises Unusable."""
    if not (isinstance(value, dict) and list(value) == ["sha256"]):
        return ""
    digest = str(value["sha256"]).lower()
    if len(digest) != 64 or not set(digest) <= _HEXADECIMAL:
        raise Unusable(_("sha256 is a digest of 64 hexadecimal digits"))
    return digest
