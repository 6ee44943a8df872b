"""The groups of a new installation."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def rights(name):
    return set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))


def test_only_administrators_and_auditors_read_content():
    assert {
        name for name in ("Administrator", "Operator", "Auditor", "Member") if "read_content" in rights(name)
    } == {
        "Administrator",
        "Auditor",
    }


def test_an_auditor_changes_nothing():
    assert all(name.startswith("view_") or name == "read_content" for name in rights("Auditor"))


def test_an_operator_keeps_providers_but_no_users_and_no_retention():
    assert {"change_provider", "add_clientkey", "view_retention"} <= rights("Operator")
    assert not {"change_retention", "add_user", "change_legalhold", "view_contentread"} & rights("Operator")


def test_an_administrator_may_everything_here_and_manage_users():
    assert {"change_retention", "add_user", "change_group", "view_logentry"} <= rights("Administrator")


def test_a_member_has_no_right_of_the_admin():
    assert rights("Member") == set()


def test_what_an_admin_took_away_is_not_given_back_and_what_is_new_is_given():
    operator = Group.objects.get(name="Operator")
    operator.permissions.remove(Permission.objects.get(codename="add_provider"))
    Permission.objects.filter(codename="view_purgerun").delete()
    call_command("migrate", verbosity=0)
    assert "add_provider" not in rights("Operator")
    assert "view_purgerun" in rights("Operator")
