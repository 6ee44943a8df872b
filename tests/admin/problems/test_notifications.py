"""Channels of notifications: kept like other secrets, tested with a button."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core import mail
from django.urls import reverse

from gateway.models import Delivery, NotificationChannel
from tests.admin.pages import errors, form_data, url

pytestmark = pytest.mark.django_db
SECRET = "a-secret-that-signs-0123"


def add(client, **fields):
    page = client.get(url("notificationchannel", "add"))
    return client.post(url("notificationchannel", "add"), form_data(page, name="ops", **fields))


def test_a_webhook_is_kept_with_its_secret_sealed(admin_client):
    assert add(admin_client, url="https://hooks.example.com/x/y", secret=SECRET).status_code == 302
    channel = NotificationChannel.objects.get()
    assert channel.revealed() == SECRET
    page = admin_client.get(url("notificationchannel", "change", channel.pk)).content.decode()
    listed = admin_client.get(url("notificationchannel", "changelist")).content.decode()
    assert SECRET not in page and "/x/y" not in listed
    assert SECRET not in LogEntry.objects.get().change_message


def test_the_path_of_a_webhook_is_shown_to_nobody_who_may_only_look(admin_client, client):
    add(admin_client, url="https://hooks.example.com/services/T0/the-path", secret=SECRET)
    channel, entry = NotificationChannel.objects.get(), LogEntry.objects.get()
    assert "the-path" not in entry.change_message and "https://hooks.example.com" in entry.change_message
    viewer = get_user_model().objects.create_user("vic", password="x", is_staff=True)
    rights = ("view_logentry", "view_notificationchannel")
    viewer.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(viewer)
    for address in (
        url("notificationchannel", "change", channel.pk),
        url("notificationchannel", "changelist"),
        reverse("admin:admin_logentry_change", args=[entry.pk]),
    ):
        page = client.get(address)
        assert page.status_code == 200 and "https://hooks.example.com" in page.content.decode()
        assert "the-path" not in page.content.decode()
    mine = admin_client.get(url("notificationchannel", "change", channel.pk)).content.decode()
    assert "the-path" in mine  # who may change it has to see what it is


def test_the_secret_goes_nowhere_else(admin_client):
    add(admin_client, url="https://hooks.example.com/x", secret=SECRET)
    channel = NotificationChannel.objects.get()
    address = url("notificationchannel", "change", channel.pk)
    response = admin_client.post(address, form_data(admin_client.get(address), url="https://evil.example/x"))
    assert "secret" in errors(response)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": ""}, "url"),
        ({"url": "ftp://x"}, "url"),
        ({"url": "http://169.254.169.254/latest"}, "url"),
        ({"kind": "mail", "addresses": ""}, "addresses"),
        ({"kind": "mail", "addresses": "no address"}, "addresses"),
    ],
)
def test_what_cannot_work_is_refused(admin_client, fields, field):
    assert field in errors(add(admin_client, **fields))


def test_a_test_is_sent_at_once_and_listed(admin_client, settings):
    settings.MAIL_CONFIGURED = True
    add(admin_client, kind="mail", addresses="ops@example.com")
    channel = NotificationChannel.objects.get()
    said = admin_client.post(url("notificationchannel", "test", channel.pk), follow=True).content.decode()
    assert "The test was sent." in said and "a test" in said
    assert mail.outbox[0].to == ["ops@example.com"]


def test_a_test_that_fails_says_why(admin_client, settings):
    settings.MAIL_CONFIGURED = False
    add(admin_client, kind="mail", addresses="ops@example.com")
    channel = NotificationChannel.objects.get()
    said = admin_client.post(url("notificationchannel", "test", channel.pk), follow=True).content.decode()
    assert "EMAIL_URL is not set" in said
    assert Delivery.objects.get().state == "failed"


def test_testing_takes_the_right_to_change(clerk):
    channel = NotificationChannel.objects.create(name="x", kind="mail", addresses=["a@example.com"])
    client = clerk("view_notificationchannel")
    assert client.post(url("notificationchannel", "test", channel.pk)).status_code == 403
