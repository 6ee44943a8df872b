"""Every change of the configuration is in the log with its values, and can be undone."""

import json

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth import get_user_model

from gateway.conf import GatewayConf
from gateway.config import changes
from gateway.config.change_entries import changes_of, source_of, values_of
from gateway.config.changes import NOBODY, acting, together
from gateway.config.field_values import SECRET
from gateway.config.startup.environment import sync_environment
from gateway.config.undoing import CannotUndo, undo
from gateway.history.record.rows import write
from gateway.models import ClientKey, MappingTarget, ModelMapping, Provider, ProviderCredential
from tests.history.record.test_recorder import outcome

pytestmark = pytest.mark.django_db


def provider(**fields):
    return Provider.objects.create(
        **{"name": "Acme", "slug": "acme", "base_url": "https://acme.test/v1", **fields}
    )


def last():
    return LogEntry.objects.order_by("-pk").first()


def test_a_change_has_before_and_after_and_who_did_it():
    record = provider()
    ada = get_user_model().objects.create_user("ada")
    with acting(ada):
        record.name = "Acme 2"
        record.save()
    entry = last()
    assert (entry.user, entry.action_flag, entry.object_id) == (ada, CHANGE, str(record.pk))
    assert values_of(entry) == {"name": ["Acme", "Acme 2"]}
    assert "name" in entry.get_change_message().lower()


def test_what_no_person_did_says_what_did_it():
    provider()
    assert (last().user.get_username(), source_of(last()), last().action_flag) == (
        NOBODY,
        "command",
        ADDITION,
    )
    assert not last().user.is_active and not last().user.has_usable_password()
    sync_environment(GatewayConf(openai_api_key="sk-1"))
    assert source_of(last()) == "environment"
    entries = LogEntry.objects.count()
    sync_environment(GatewayConf(openai_api_key="sk-1"))
    assert LogEntry.objects.count() == entries


def test_secrets_are_seen_to_change_and_never_seen():
    record = provider()
    credential = record.add_credential("sk-very-secret", "main")
    record.set_headers({"x-key": "also-secret"})
    record.save()
    credential.value = "sk-another-secret"
    credential.save()
    assert values_of(last()) == {"value": [SECRET, SECRET]}
    ClientKey.issue("k")
    every = json.dumps(list(LogEntry.objects.values_list("change_message", flat=True)))
    assert "secret" not in every.replace("secret_", "")
    assert ClientKey.objects.get().digest not in every


def test_writes_in_bulk_and_what_goes_along_are_logged_one_by_one():
    first, second = provider(), provider(slug="second")
    Provider.objects.filter(pk__in=[first.pk, second.pk]).update(enabled=False)
    assert [values_of(entry) for entry in LogEntry.objects.order_by("-pk")[:2]] == [
        {"enabled": [True, False]}
    ] * 2
    first.add_credential("sk", "main")
    LogEntry.objects.all().delete()
    first.delete()
    assert {entry.content_type.model for entry in LogEntry.objects.all()} == {
        "provider",
        "providercredential",
    }
    assert all(entry.action_flag == DELETION for entry in LogEntry.objects.all())


def test_saving_what_is_the_same_and_facts_beside_the_configuration_are_no_change():
    record = provider()
    key, _ = ClientKey.issue("k")
    entries = LogEntry.objects.count()
    record.save()
    write([outcome(client_key_id=key.pk)])
    assert LogEntry.objects.count() == entries


class TestUndo:
    def test_a_change_is_changed_back_and_that_is_logged(self):
        record = provider(query={"a": "1"})
        record.query, record.connect_timeout = {"b": "2"}, 3.5
        record.save()
        undo(last())
        record.refresh_from_db()
        assert (record.query, record.connect_timeout) == ({"a": "1"}, 10.0)
        assert values_of(last())["connect_timeout"] == [3.5, 10.0]
        undo(last())
        record.refresh_from_db()
        assert record.connect_timeout == 3.5

    def test_a_later_change_has_to_be_undone_first(self):
        record = provider()
        for name in ("second", "third"):
            record.name = name
            record.save()
        with pytest.raises(CannotUndo, match="later change"):
            undo(LogEntry.objects.filter(action_flag=CHANGE).order_by("pk")[0])

    def test_an_addition_is_removed_and_a_deletion_made_again_under_the_same_number(self):
        record = provider()
        pk = record.pk
        undo(last())
        assert not Provider.objects.exists()
        undo(last())
        assert Provider.objects.get().pk == pk
        with pytest.raises(CannotUndo, match="there again"):
            undo(LogEntry.objects.filter(action_flag=DELETION).first())

    def test_what_others_need_stays(self):
        record = provider()
        entry = last()
        mapping = ModelMapping.objects.create(pattern="*")
        MappingTarget.objects.create(mapping=mapping, provider=record)
        with pytest.raises(CannotUndo, match="Other records"):
            undo(entry)

    def test_a_used_key_is_revoked_and_a_revocation_undone(self):
        ClientKey.issue("k")
        undo(last())
        assert ClientKey.objects.get().state() == "revoked"
        undo(last())
        assert ClientKey.objects.get().state() == "active"

    def test_secrets_do_not_come_back(self):
        credential = provider().add_credential("sk-1", "main")
        credential.value = "sk-2"
        credential.save()
        with pytest.raises(CannotUndo, match="Only secrets"):
            undo(last())
        credential.delete()
        undo(last())
        assert not ProviderCredential.objects.get().value

    def test_other_entries_cannot_be_undone(self, admin_user):
        entry = LogEntry.objects.create(user=admin_user, action_flag=CHANGE, object_repr="x")
        with pytest.raises(CannotUndo):
            undo(entry)


class TestTogether:
    """Many records that one act changes."""

    @pytest.fixture
    def keys(self):
        made = [ClientKey(name=f"key {number}", digest=f"d{number}") for number in range(7)]
        return ClientKey.objects.bulk_create(made)

    def entries(self):
        return LogEntry.objects.filter(object_repr="Limits").order_by("pk")

    def test_each_record_stands_in_one_entry_and_an_entry_stays_small(self, admin_user, keys, monkeypatch):
        monkeypatch.setattr(changes, "MOST_TOGETHER", 3)
        LogEntry.objects.all().delete()
        with acting(admin_user), together(ClientKey, "Limits"):
            ClientKey.objects.update(requests_per_minute=9)
        found = [[one.pk for one in changes_of(entry)] for entry in LogEntry.objects.order_by("pk")]
        assert [len(pks) for pks in found] == [3, 3, 1]
        assert sorted(int(pk) for pks in found for pk in pks) == sorted(key.pk for key in keys)
        for entry in LogEntry.objects.order_by("pk"):
            undo(entry)
        assert set(ClientKey.objects.values_list("requests_per_minute", flat=True)) == {None}

    def test_a_record_that_changes_twice_stands_once_with_both_ends(self, admin_user, keys, monkeypatch):
        monkeypatch.setattr(changes, "MOST_TOGETHER", 4)
        with acting(admin_user), together(ClientKey, "Limits"):
            for limit in (9, 8):
                ClientKey.objects.update(requests_per_minute=limit)
        found = [one for entry in self.entries() for one in changes_of(entry)]
        assert len(found) == 7
        assert {str(one.values) for one in found} == {"{'requests_per_minute': [None, 8]}"}

    def test_a_thousandth_record_costs_no_more_than_a_second_one(self, admin_user, monkeypatch):
        """Characters of JSON that are read and written, which took half a minute of a thousand keys."""
        made = [ClientKey(name=f"key {number}", digest=f"d{number}") for number in range(60)]
        ClientKey.objects.bulk_create(made)
        written = []
        whole = changes.written
        monkeypatch.setattr(
            changes, "written", lambda message: written.append(len(message)) or whole(message)
        )
        with acting(admin_user), together(ClientKey, "Limits"):
            ClientKey.objects.update(requests_per_minute=9)
        assert max(written) <= 2
        assert len(changes_of(self.entries().get())) == 60
