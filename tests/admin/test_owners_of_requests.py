"""Contents belong to who owned the key at the time; setting an owner is a right of its own."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User

from gateway.history.access import may_read
from gateway.models import ClientKey, RequestLog
from tests.admin.pages import form_data, url


@pytest.fixture
def operator(db, client):
    user = User.objects.create_user("olga", is_staff=True)
    user.groups.add(Group.objects.get(name="Operator"))
    client.force_login(user)
    client.user = user
    return client


@pytest.fixture
def alice(db):
    return User.objects.create_user("alice", is_staff=True)


def row(key, owner):
    return RequestLog.objects.create(request_id=f"req_{key.pk}", client_key=key, owner_id=owner and owner.pk)


def test_an_operator_does_not_become_the_owner_of_a_key(operator, alice):
    key, _ = ClientKey.issue("Alice", user=alice)
    page = operator.get(url("clientkey", "change", key.pk))
    data = form_data(page, user=str(operator.user.pk), name="Renamed")
    assert operator.post(url("clientkey", "change", key.pk), data).status_code == 302
    key.refresh_from_db()
    assert (key.name, key.user) == ("Renamed", alice)


def test_an_operator_issues_no_key_to_a_user(operator, alice):
    data = form_data(operator.get(url("clientkey", "add")), name="New", user=str(alice.pk))
    operator.post(url("clientkey", "add"), data)
    assert ClientKey.objects.get(name="New").user is None
    said = operator.post(url("clientkey", "bulk"), {"names": "One, alice\nTwo, nobody"}).content.decode()
    assert "takes a right that you do not have: alice" in said
    assert not ClientKey.objects.filter(name="Two").exists()
    operator.post(url("clientkey", "bulk"), {"names": "Two, nobody"})
    assert ClientKey.objects.get(name="Two").owner == "nobody"


def test_an_operator_does_not_undo_a_change_of_owner(operator, alice):
    key, _ = ClientKey.issue("K", user=operator.user)
    key.user = alice
    key.save()
    entry = LogEntry.objects.order_by("-pk").first()
    operator.post(f"/admin/admin/logentry/{entry.pk}/undo/")
    key.refresh_from_db()
    assert key.user == alice
    operator.user.user_permissions.add(Permission.objects.get(codename="assign_clientkey"))
    operator.post(f"/admin/admin/logentry/{entry.pk}/undo/")
    key.refresh_from_db()
    assert key.user == operator.user


def test_with_the_right_an_owner_is_set(operator, alice):
    operator.user.user_permissions.add(Permission.objects.get(codename="assign_clientkey"))
    key, _ = ClientKey.issue("K")
    data = form_data(operator.get(url("clientkey", "change", key.pk)), user=str(alice.pk))
    operator.post(url("clientkey", "change", key.pk), data)
    key.refresh_from_db()
    assert key.user == alice


@pytest.mark.parametrize("group", ["Administrator"])
def test_which_groups_have_the_right(db, group):
    having = Group.objects.filter(permissions__codename="assign_clientkey").values_list("name", flat=True)
    assert list(having) == [group]


def test_who_gets_a_key_later_reads_nothing_from_before(client, alice):
    bob = User.objects.create_user("bob", is_staff=True)
    key, _ = ClientKey.issue("K", user=alice)
    before = row(key, alice)
    key.user = bob
    key.save()
    assert may_read(alice, before) and not may_read(bob, before)
    client.force_login(bob)
    assert before.request_id not in client.get("/admin/gateway/requestlog/").content.decode()
    client.force_login(alice)
    assert client.get(url("requestlog", "change", before.pk)).status_code == 200


def test_a_request_of_a_key_without_an_owner_belongs_to_nobody(alice):
    key, _ = ClientKey.issue("K")
    assert not may_read(alice, row(key, None))
