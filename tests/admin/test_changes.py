"""The page of changes."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from gateway.config.changes import values_of
from gateway.models import LegalHold, Provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def changed(admin_client):
    record = Provider.objects.create(name="Acme", slug="acme", base_url="https://acme.test/v1")
    record.name = "<b>Bad</b>"
    record.save()
    return record, LogEntry.objects.order_by("-pk").first()


def test_the_list_and_the_page_say_before_and_after_and_are_inert(admin_client, changed):
    _, entry = changed
    listed = admin_client.get("/admin/admin/logentry/").content.decode()
    assert "Acme" in listed and "a command" in listed
    page = admin_client.get(f"/admin/admin/logentry/{entry.pk}/change/").content.decode()
    assert "&lt;b&gt;Bad" in page and "<b>Bad" not in page
    assert "Undo this change" in page


def test_undo_restores_and_is_logged_under_the_user(admin_client, admin_user, changed):
    record, entry = changed
    admin_client.post(f"/admin/admin/logentry/{entry.pk}/undo/")
    record.refresh_from_db()
    assert record.name == "Acme"
    newest = LogEntry.objects.order_by("-pk").first()
    assert newest.user == admin_user and values_of(newest)["name"] == ["<b>Bad</b>", "Acme"]


def test_looking_undoes_nothing(admin_client, changed):
    record, entry = changed
    admin_client.get(f"/admin/admin/logentry/{entry.pk}/undo/")
    record.refresh_from_db()
    assert record.name == "<b>Bad</b>"


def test_who_may_not_change_the_record_may_not_undo(client, django_user_model, changed):
    record, entry = changed
    user = django_user_model.objects.create_user("eve", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_logentry"))
    client.force_login(user)
    assert "Undo" not in client.get(f"/admin/admin/logentry/{entry.pk}/change/").content.decode()
    client.post(f"/admin/admin/logentry/{entry.pk}/undo/")
    record.refresh_from_db()
    assert record.name == "<b>Bad</b>"


def test_a_change_by_a_form_is_one_entry_with_values(admin_client, admin_user):
    admin_client.get("/admin/gateway/retention/", follow=True)
    LogEntry.objects.all().delete()
    admin_client.post(
        "/admin/gateway/retention/1/change/", {"body_days": 30, "row_days": "", "total_days": ""}
    )
    entry = LogEntry.objects.get()
    assert entry.user == admin_user
    assert values_of(entry) == {"body_days": [None, 30]}


def test_a_value_that_is_empty_is_no_secret(admin_client, db):
    admin_client.get("/admin/gateway/retention/", follow=True)
    LegalHold.objects.create(session_id="session-1", reason="asked for")
    for entry in LogEntry.objects.all():
        assert (
            "a secret, changed"
            not in admin_client.get(f"/admin/admin/logentry/{entry.pk}/change/").content.decode()
        )


def test_it_is_called_a_change_everywhere(admin_client, db):
    page = admin_client.get("/admin/admin/logentry/").content.decode()
    assert "Changes" in page
    assert "Log entries" not in page
