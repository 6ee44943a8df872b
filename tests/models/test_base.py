"""Every way of writing a configuration record moves the stamp."""

import pytest
from asgiref.sync import async_to_sync
from django.core import serializers
from django.db import transaction

from gateway.models import (
    ClientKey,
    ConfigStamp,
    ModelMapping,
    Provider,
    ProviderCredential,
    Sealed,
    config_changed,
)
from gateway.security.encryption import UnreadableSecret
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db


def save(provider):
    provider.name = "Q"
    provider.save()


def save_one_field(provider):
    provider.save(update_fields=["name"])


def delete(provider):
    provider.delete()


def queryset_update(provider):
    Provider.objects.filter(pk=provider.pk).update(name="Q")


def queryset_delete(provider):
    Provider.objects.filter(pk=provider.pk).delete()


def bulk_create(provider):
    ModelMapping.objects.bulk_create([ModelMapping(pattern="a")])


def bulk_update(provider):
    provider.name = "Q"
    Provider.objects.bulk_update([provider], ["name"])


def get_or_create(provider):
    Provider.objects.get_or_create(slug="q", defaults={"name": "Q", "base_url": "http://q/v1"})


def update_or_create(provider):
    Provider.objects.update_or_create(slug="p", defaults={"name": "Q"})


def through_the_relation(provider):
    make_mapping("a", provider)
    provider.targets.update(upstream_model="n")


@pytest.mark.parametrize(
    "write",
    [
        save,
        save_one_field,
        delete,
        queryset_update,
        queryset_delete,
        bulk_create,
        bulk_update,
        get_or_create,
        update_or_create,
        through_the_relation,
    ],
)
def test_the_stamp_moves_with(write):
    provider = make_provider()
    before = ConfigStamp.current()
    write(provider)
    assert ConfigStamp.current() > before


def test_the_stamp_moves_with_asynchronous_writes():
    async def write():
        provider = await Provider.objects.acreate(name="P", slug="p", base_url="http://p/v1")
        await Provider.objects.filter(pk=provider.pk).aupdate(name="Q")
        await provider.adelete()

    async_to_sync(write)()
    assert ConfigStamp.current() == 3


def test_the_first_change_ever_makes_the_stamp():
    assert ConfigStamp.current() == 0
    make_provider()
    assert ConfigStamp.current() == 1


def test_writes_that_change_no_row_leave_the_stamp():
    Provider.objects.filter(slug="none").update(name="x")
    Provider.objects.filter(slug="none").delete()
    assert ConfigStamp.current() == 0


def test_noting_when_a_key_was_used_leaves_the_stamp():
    record, _ = ClientKey.issue("k")
    before = ConfigStamp.current()
    ClientKey.objects.filter(pk=record.pk).update(last_used=record.created)
    record.save(update_fields=["last_used"])
    assert ConfigStamp.current() == before


def test_a_change_that_is_rolled_back_leaves_the_stamp():
    with pytest.raises(RuntimeError), transaction.atomic():
        make_provider()
        raise RuntimeError
    assert ConfigStamp.current() == 0


def test_listeners_hear_of_a_change_only_after_it_is_committed(django_capture_on_commit_callbacks):
    heard = []

    def listener(**_):
        heard.append(1)

    config_changed.connect(listener)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            make_provider()
            assert heard == []
        assert heard
    finally:
        config_changed.disconnect(listener)


def make_credential(value):
    return make_provider().add_credential(value)


def test_a_secret_is_ciphertext_in_the_database_and_sealed_on_the_record():
    record = make_credential("sk-very-secret")
    [stored] = ProviderCredential.objects.extra(select={"raw": "value"}).values_list("raw", flat=True)
    assert "sk-very-secret" not in str(stored)
    assert record.value.reveal() == "sk-very-secret"
    record.refresh_from_db()
    assert record.value.reveal() == "sk-very-secret"


def test_no_repr_shows_a_secret():
    record = make_credential("sk-very-secret")
    shown = repr(record) + repr(record.value) + str(record.value) + repr(vars(record))
    assert "sk-very-secret" not in shown


def test_an_empty_secret_is_stored_as_nothing_and_is_false():
    record = make_credential("")
    record.refresh_from_db()
    assert not record.value
    assert record.value.token == ""


def test_a_fixture_holds_the_ciphertext_and_comes_back_readable():
    record = make_credential("sk-very-secret")
    text = serializers.serialize("json", [record])
    assert "sk-very-secret" not in text
    record.delete()
    [restored] = serializers.deserialize("json", text)
    restored.save()
    assert ProviderCredential.objects.get().revealed() == "sk-very-secret"


def test_what_no_key_opens_is_said_when_it_is_read_and_not_before():
    record = make_credential(Sealed("gibberish"))
    type(record).objects.update(value_origin="http://p")
    record.refresh_from_db()
    with pytest.raises(UnreadableSecret):
        record.revealed()


def test_saving_again_does_not_encrypt_again():
    record = make_credential("sk")
    token = record.value.token
    record.save()
    record.refresh_from_db()
    assert record.value.token == token
