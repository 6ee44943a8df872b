"""The section of providers, with their credentials and headers."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext as _

from gateway.config.file.fields import Unusable, a_list, a_text, an_object, as_json, assign, save, values
from gateway.config.file.intake import Intake
from gateway.config.file.variables import VariableNames, secret
from gateway.config.undoing import left_behind
from gateway.models import Origin, Provider, ProviderCredential
from gateway.models.base import opened
from gateway.security.encryption import EncryptionError
from gateway.wire.messages import JSONObject

# secrets of a provider that are texts: its proxy's login, and the key of our certificate
_OF_THE_WAY: Final = ("proxy_login", "client_key")


def entries(names: VariableNames) -> list[JSONObject]:
    """Each provider that an admin keeps, by slug. Secrets are named by variables."""
    kept = Provider.objects.filter(origin=Origin.ADMIN)
    return [_entry(one, names) for one in sorted(kept, key=lambda one: one.slug)]


def _entry(record: Provider, names: VariableNames) -> JSONObject:
    start = record.slug.upper().replace("-", "_")
    credentials = [
        {"label": one.label,
         "value": {"env": names(f"{start}_KEY_{place + 1}" if place else f"{start}_KEY")},
         "position": one.position, "enabled": one.enabled}
        for place, one in enumerate(record.credentials.order_by("position", "pk"))
    ]  # fmt: skip
    entry = {**as_json(record), "credentials": credentials}
    headers = _stored_headers(record)
    if headers:
        entry["headers"] = {
            name: {"env": names(f"{start}_HEADER_{place + 1}")} for place, name in enumerate(headers)
        }
    for name in _OF_THE_WAY:
        if getattr(record, name):
            entry[name] = {"env": names(f"{start}_{name.upper()}")}
    return entry


def take(item: JSONObject, intake: Intake) -> Provider:
    """Make the provider of this slug what the entry says. Raises Unusable, ValidationError."""
    credentials = item.pop("credentials", None)
    headers = item.pop("headers", None)
    of_the_way = {name: secret(item.pop(name), intake.secrets) for name in _OF_THE_WAY if name in item}
    slug = a_text(item, "slug")
    intake.once("provider", slug)
    record = Provider.objects.filter(slug=slug).first() or Provider()
    if record.origin != Origin.ADMIN:
        raise Unusable(
            _("%(slug)r is kept by the environment, not by an admin; take it over there first")
            % {"slug": slug}
        )
    before = values(record)
    assign(record, item)
    if headers is not None:
        stored = _stored_headers(record)
        given = _headers(record, an_object(headers, "headers"), stored, intake)
        if given != stored:
            record.set_headers(given)
            before = {}
    for kind, text in of_the_way.items():
        if text and _stored_text(record, kind) != text:
            setattr(record, kind, text)
            before = {}
    save(record, before)
    for kind in of_the_way:
        if not getattr(record, kind):
            intake.warn(
                _("provider %(provider)s: %(name)s: its variable is not set; enter its value")
                % {"provider": record, "name": kind}
            )
    if credentials is not None:
        _take_credentials(record, a_list(credentials, "credentials"), intake)
    for name in left_behind(record):
        intake.warn(
            _("provider %(provider)s: %(name)s: saved for another address; enter its value again")
            % {"provider": record, "name": name}
        )
    return record


def _take_credentials(record: Provider, items: list[Any], intake: Intake) -> None:
    present = list(record.credentials.filter(origin=Origin.ADMIN).order_by("position", "pk"))
    for place, item in enumerate(items):
        given = {"label": "", "position": place, **an_object(item, f"credentials[{place}]")}
        value = secret(given.pop("value", ""), intake.secrets)
        # labels may repeat: the first in the file is the first here
        found = next((one for one in present if one.label == given["label"]), None)
        if found is not None:
            present.remove(found)
        one = found or ProviderCredential(provider=record)
        one.provider = record
        before = values(one) if found else {}
        assign(one, given)
        if value and _stored(one) != value:
            one.value, before = value, {}
        save(one, before)
        if not one.value:
            intake.warn(
                _("provider %(provider)s: credential %(label)s: enter its value")
                % {"provider": record, "label": one.label or place}
            )
    for one in present if intake.remove else ():
        one.delete()


def _headers(record: Provider, given: JSONObject, stored: dict[str, str], intake: Intake) -> dict[str, str]:
    """Each header with the value of its variable, or with the stored value when the variable is not set."""
    texts = {}
    for name, value in given.items():
        text = secret(value, intake.secrets) or stored.get(name, "")
        if text:
            texts[name] = text
        else:
            intake.warn(
                _("provider %(provider)s: header %(name)s: its variable is not set; left out")
                % {"provider": record, "name": name}
            )
    return texts


def _stored_text(record: Provider, name: str) -> str:
    try:
        return opened(record, name)
    except EncryptionError:
        return ""


def _stored(credential: ProviderCredential) -> str:
    """The stored secret, as far as it may go to the provider's present address; "" otherwise."""
    try:
        return credential.revealed()
    except EncryptionError:
        return ""


def _stored_headers(record: Provider) -> dict[str, str]:
    try:
        return record.revealed_headers() if record.pk else {}
    except (EncryptionError, ValueError):
        return {}
