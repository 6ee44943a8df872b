"""The sidebar shows the pages that a person may open."""

import html
import re

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


def test_each_page_is_called_what_the_menu_calls_it(admin_client):
    """In the browser's tab and in the header, with the section of the menu before it."""
    menu = admin_client.get(reverse("admin:index")).context["sidebar_navigation"]
    wrong = {}
    for section in menu:
        for item in section["items"]:
            page = admin_client.get(item["link"], follow=True).content.decode()
            said = re.search(r"<title>\s*(.*?)\s*[|<]", page, re.DOTALL)[1]
            header = re.search(r"<header>.*?</header>", page, re.DOTALL)[0]
            way = re.sub(r"\s+", " ", re.sub(r"<[^>]*>|chevron_right", " ", header))
            expected = html.escape(str(item["title"]))
            if (
                said != expected
                or expected not in way
                or (is_list(page) and f" {section['title']} " not in way)
            ):
                wrong[expected] = (said, way.strip())
    assert wrong == {}


def is_list(page: str) -> bool:
    return 'id="changelist"' in page
