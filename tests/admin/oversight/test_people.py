"""Users and groups in the console."""

import re

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse

from gateway.models import ClientKey

pytestmark = pytest.mark.django_db


def test_rights_are_ticked_one_by_one_and_saved(admin_client):
    group = Group.objects.get(name="Operator")
    page = reverse("admin:auth_group_change", args=[group.pk])
    text = admin_client.get(page).content.decode()
    ticked = re.findall(r'<input type="checkbox" name="permissions" value="(\d+)"[^>]*\schecked[\s>]', text)
    assert {int(one) for one in ticked} == set(group.permissions.values_list("pk", flat=True))
    assert "Providers: change" in text
    kept = Permission.objects.get(codename="view_provider", content_type__app_label="gateway").pk
    admin_client.post(page, {"name": "Operator", "permissions": [kept]})
    assert list(group.permissions.values_list("pk", flat=True)) == [kept]


def test_groups_of_a_user_are_ticked(admin_client, admin_user):
    text = admin_client.get(reverse("admin:auth_user_change", args=[admin_user.pk])).content.decode()
    assert len(re.findall(r'type="checkbox" name="groups"', text)) == Group.objects.count()


class TestKeysOfAPerson:
    """What somebody has is on their page, and goes from there."""

    @pytest.fixture
    def emil(self, db):
        user = User.objects.create_user("emil", is_staff=True)
        for name in ("laptop", "desktop"):
            ClientKey.issue(name, user=user)
        return user

    def page(self, user):
        return f"/admin/auth/user/{user.pk}/"

    def test_their_keys_stand_on_their_page(self, admin_client, emil):
        text = admin_client.get(self.page(emil) + "change/").content.decode()
        assert "laptop" in text and "desktop" in text and "owner=emil" in text

    def test_all_keys_are_revoked_after_a_question(self, admin_client, emil):
        text = admin_client.get(self.page(emil) + "revoke-all/").content.decode()
        assert "laptop" in text and ClientKey.objects.filter(revoked_at=None).count() == 2
        said = admin_client.post(self.page(emil) + "revoke-all/", follow=True).content.decode()
        assert "2 keys are revoked" in said
        assert not ClientKey.objects.filter(revoked_at=None).exists()

    def test_revoking_takes_the_right_to_change_keys(self, clerk, emil):
        client = clerk("view_user", "change_user", "view_clientkey")
        assert client.post(self.page(emil) + "revoke-all/").status_code == 403
        assert "Revoke all" not in client.get(self.page(emil) + "change/").content.decode()

    def test_deactivating_says_what_becomes_of_the_keys(self, admin_client, emil):
        data = {
            "username": "emil",
            "is_staff": "on",
            "date_joined_0": "2026-01-01",
            "date_joined_1": "00:00:00",
        }
        said = admin_client.post(self.page(emil) + "change/", data, follow=True).content.decode()
        assert "emil can no longer log in. 2 client keys are refused" in said
