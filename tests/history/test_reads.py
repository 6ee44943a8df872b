"""Reading content leaves a note."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission

from gateway.history.access import may_read_all, note_read, note_reads, readers
from gateway.models import ContentRead

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return get_user_model().objects.create_user("ada")


def test_reading_needs_its_own_permission(user):
    assert not may_read_all(user)
    user.user_permissions.add(Permission.objects.get(codename="read_content"))
    assert may_read_all(get_user_model().objects.get(pk=user.pk))


def test_a_read_says_who_what_and_of_which_request(user):
    note_read(user, "req_1", "conversation")
    read = ContentRead.objects.get()
    assert (read.user, read.user_name, read.request_id, read.part) == (user, "ada", "req_1", "conversation")


def test_the_note_outlives_the_user(user):
    note_reads(user, ["req_1", "req_2"], "export")
    user.delete()
    assert set(ContentRead.objects.values_list("user", "user_name", "request_id")) == {
        (None, "ada", "req_1"),
        (None, "ada", "req_2"),
    }


def test_readers_are_those_with_the_right_by_themselves_or_by_a_group_and_superusers(db):
    users = get_user_model().objects
    users.create_user("nobody")
    users.create_user("gone", is_superuser=True, is_active=False)
    users.create_user("chief", is_superuser=True)
    users.create_user("auditor").groups.add(Group.objects.get(name="Auditor"))
    assert readers() == ["auditor", "chief"]
