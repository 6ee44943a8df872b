"""A key of somebody who may not log in is refused, however the account was written."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection

from gateway.conf import GatewayConf
from gateway.config import owners
from gateway.config.snapshot.loader import load
from gateway.models import ClientKey, ConfigStamp

pytestmark = pytest.mark.django_db
CONF = GatewayConf()


@pytest.fixture
def ann():
    return get_user_model().objects.create_user("ann", password="x")


@pytest.fixture
def key(ann):
    return ClientKey.issue("hers", user=ann)[0]


def sql(ann):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE auth_user SET is_active = %s WHERE id = %s", [False, ann.pk])


def saved(ann):
    ann.is_active = False
    ann.save()


def saved_alone(ann):
    ann.is_active = False
    ann.save(update_fields=["is_active"])


def updated(ann):
    User.objects.filter(pk=ann.pk).update(is_active=False)


def updated_in_bulk(ann):
    ann.is_active = False
    User.objects.bulk_update([ann], ["is_active"])


WAYS = [saved, saved_alone, updated, updated_in_bulk, sql]


@pytest.mark.parametrize("way", WAYS)
def test_whatever_deactivates_the_owner_moves_the_stamp_and_the_key_is_refused(ann, key, way):
    before = load(CONF)
    assert before.keys[key.digest].refusal(0) is None
    way(ann)
    after = load(CONF)
    assert after.stamp > before.stamp
    assert after.keys[key.digest].refusal(0) == "owner_inactive"
    assert ClientKey.objects.get().state() == "owner_inactive"


def test_a_key_works_again_with_its_owner(ann, key):
    updated(ann)
    before = ConfigStamp.current()
    User.objects.filter(pk=ann.pk).update(is_active=True)
    assert ConfigStamp.current() > before
    assert load(CONF).keys[key.digest].refusal(0) is None


def test_a_new_name_of_the_owner_is_in_force_as_well(ann, key):
    before = ConfigStamp.current()
    User.objects.filter(pk=ann.pk).update(username="anna")
    assert ConfigStamp.current() > before
    assert load(CONF).keys[key.digest].owner == "anna"


def test_logging_in_and_other_facts_of_an_account_are_no_change(ann, key):
    before = ConfigStamp.current()
    ann.last_login = ann.date_joined
    ann.email = "ann@example.com"
    ann.save()
    User.objects.filter(pk=ann.pk).update(first_name="Ann", is_active=True)
    assert ConfigStamp.current() == before


@pytest.mark.parametrize("delete", [User.delete, lambda ann: User.objects.filter(pk=ann.pk).delete()])
def test_the_keys_of_a_deleted_account_are_revoked(ann, key, delete):
    before = ConfigStamp.current()
    delete(ann)
    snapshot = load(CONF)
    assert snapshot.stamp > before
    assert snapshot.keys[key.digest].refusal(0) == "revoked"


def test_a_key_whose_owner_is_nowhere_to_be_found_is_refused():
    key = ClientKey(user_id=4711)
    key._state.fields_cache["user"] = None
    assert not key.owner_active


def test_the_first_change_of_all_may_be_an_account(ann):
    ConfigStamp.objects.all().delete()
    updated(ann)
    assert ConfigStamp.current() == 1


@pytest.mark.django_db(transaction=True)
def test_migrating_again_keeps_the_watch_over_accounts(ann, key):
    call_command("migrate", verbosity=0)
    before = ConfigStamp.current()
    updated(ann)
    assert ConfigStamp.current() > before


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", [ConfigStamp, User])
def test_a_table_that_is_made_anew_by_a_migration_is_no_obstacle(model, ann, key):
    if connection.vendor != "sqlite":
        pytest.skip("other databases alter a table in its place")
    owners.leave_accounts_alone("default")
    with connection.schema_editor() as editor:
        field = model._meta.get_field("value" if model is ConfigStamp else "username")
        editor._remake_table(model, alter_fields=[(field, field)])
    owners.watch_accounts("default")
    before = ConfigStamp.current()
    updated(ann)
    assert ConfigStamp.current() > before
