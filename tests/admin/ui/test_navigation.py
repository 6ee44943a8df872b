"""The sidebar shows the pages that a person may open."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from gateway.models import ClientKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def member(client):
    user = get_user_model().objects.create_user("bob", password="x", is_staff=True)
    client.force_login(user)
    return user


def links(client) -> set[str]:
    page = client.get(reverse("admin:index"))
    assert page.status_code == 200
    return {item["link"] for group in page.context["sidebar_navigation"] for item in group["items"]} - {
        reverse("admin:index")
    }


def test_a_person_without_rights_and_keys_is_led_nowhere(client, member):
    assert links(client) == set()


def test_the_owner_of_a_key_is_led_to_pages_that_open(client, member):
    ClientKey.issue("Laptop", user=member)
    led = links(client)
    assert reverse("admin:gateway_requestlog_changelist") in led
    assert {client.get(link, follow=True).status_code for link in led} == {200}


def test_an_administrator_is_led_to_pages_that_open(admin_client):
    led = links(admin_client)
    assert len(led) > 10
    assert {admin_client.get(link, follow=True).status_code for link in led} == {200}
