"""Encryption keys are changed by a command, while the gateway serves."""

import base64
import io
import os

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.core.management.base import CommandError

from gateway.conf import gateway_conf
from gateway.config import key_rotation
from gateway.management.commands import rotatekeys
from gateway.models import ConfigStamp, Provider, ProviderCredential
from gateway.security import encryption
from tests.commands.test_setupgateway import changed

pytestmark = pytest.mark.django_db
OLD = gateway_conf().field_encryption_keys[0]


def new_key():
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


@pytest.fixture
def credentials():
    provider = Provider.objects.create(name="Up", slug="up", base_url="https://up.test/v1", headers="x: sk-0")
    return [
        ProviderCredential.objects.create(provider=provider, label=str(n), value=f"sk-{n}") for n in range(3)
    ]


def tokens():
    """Every stored secret as the database has it."""
    return {
        (model.__name__, record.pk, name): getattr(record, name).token
        for model, name in key_rotation._sealed_fields()
        for record in model._base_manager.all()
        if getattr(record, name)
    }


def run(monkeypatch, *keys):
    monkeypatch.setattr(rotatekeys, "gateway_conf", lambda: changed(field_encryption_keys=keys))
    out = io.StringIO()
    call_command("rotatekeys", stdout=out)
    return out.getvalue()


@pytest.mark.usefixtures("credentials")
def test_afterwards_the_new_key_alone_opens_everything(monkeypatch):
    before = {place: encryption.decrypt(token, [OLD]) for place, token in tokens().items()}
    key = new_key()
    said = run(monkeypatch, key, OLD)
    assert f"{len(before)} secrets examined, {len(before)} re-encrypted" in said
    assert "take the others out" in said
    assert {place: encryption.decrypt(token, [key]) for place, token in tokens().items()} == before


@pytest.mark.usefixtures("credentials")
def test_no_change_of_configuration_is_told_and_a_second_run_changes_nothing(monkeypatch):
    key = new_key()
    stamp, entries = ConfigStamp.current(), LogEntry.objects.count()
    run(monkeypatch, key, OLD)
    first = tokens()
    assert "0 re-encrypted" in run(monkeypatch, key, OLD)
    assert tokens() == first
    assert (ConfigStamp.current(), LogEntry.objects.count()) == (stamp, entries)


def test_one_that_was_stopped_is_taken_up_by_the_next(credentials, monkeypatch):
    key = new_key()
    stopped = key_rotation.rotate([key, OLD])
    next(stopped)
    stopped.close()
    number = len(tokens())
    assert f"{number} secrets examined, {number - 1} re-encrypted" in run(monkeypatch, key, OLD)


def test_what_an_admin_saves_meanwhile_is_kept(credentials):
    key = new_key()
    rotating = key_rotation.rotate([key, OLD])
    kept = {}
    for _ in rotating:
        if not kept:
            for credential in credentials:
                credential.value = "sk-entered-meanwhile"
                credential.save()
            kept = {credential.pk: "sk-entered-meanwhile" for credential in credentials}
    found = ProviderCredential.objects.in_bulk(kept)
    assert {pk: encryption.decrypt(each.value.token, [key, OLD]) for pk, each in found.items()} == kept


@pytest.mark.usefixtures("credentials")
def test_what_no_key_opens_is_named_and_the_others_are_done(monkeypatch):
    lost = ProviderCredential.objects.first()
    strange = encryption.encrypt("sk", [new_key()])
    key_rotation.models.QuerySet(ProviderCredential).filter(pk=lost.pk).update(
        value=key_rotation.Sealed(strange)
    )
    key = new_key()
    with pytest.raises(CommandError, match="No key opens these") as said:
        run(monkeypatch, key, OLD)
    assert str(lost) in str(said.value)
    others = [token for place, token in tokens().items() if place[:2] != ("ProviderCredential", lost.pk)]
    assert all(encryption.is_of_first_key(token, [key]) for token in others)


def test_an_unusable_key_is_told(monkeypatch):
    with pytest.raises(CommandError, match="FIELD_ENCRYPTION_KEYS"):
        run(monkeypatch, "not-a-key", OLD)
