"""Users and groups in the console."""

import re

import pytest
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

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
