"""What all pages of the console share."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from ccproxy_site.pages.content_security import HEADER
from gateway.admin.ui.navigation import sidebar
from gateway.models import ClientKey
from tests.admin.pages import url

pytestmark = pytest.mark.once
PAGES = [
    "admin:index",
    "admin:gateway_provider_changelist",
    "admin:gateway_provider_add",
    "admin:gateway_modelmapping_changelist",
    "admin:gateway_clientkey_changelist",
    "admin:gateway_requestlog_changelist",
    "admin:auth_user_changelist",
    "admin:auth_user_add",
    "admin:auth_group_changelist",
    "admin:password_change",
]


@pytest.mark.parametrize("page", PAGES)
def test_pages_load_nothing_from_elsewhere(admin_client, page):
    text = admin_client.get(reverse(page)).content.decode()
    loaded = re.findall(r'<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)="([^"]*)"', text)
    assert loaded
    assert [address for address in loaded if not address.startswith("/")] == []


@pytest.mark.parametrize("page", PAGES)
def test_pages_have_no_inline_script(admin_client, page):
    text = admin_client.get(reverse(page)).content.decode()
    assert re.findall(r"<script>|\son[a-z]+=\"", text) == []


def test_browsers_are_told_to_load_nothing_from_elsewhere(client, db):
    policy = client.get("/admin/login/").headers[HEADER]
    assert "default-src 'self'" in policy
    assert "script-src 'self' 'unsafe-eval'" in policy


def test_our_stylesheet_script_and_icon_are_used(admin_client):
    text = admin_client.get("/admin/").content.decode()
    for name in ("gateway.css", "gateway.js", "favicon.svg"):
        assert f"/static/gateway/{name}" in text


def test_the_sidebar_shows_an_administrator_everything_that_exists(rf, admin_user):
    assert titles(rf, admin_user) >= {
        "Dashboard",
        "Requests",
        "Providers",
        "Model mappings",
        "Client keys",
        "Users",
    }


def test_the_sidebar_shows_a_member_their_own_pages_alone(rf, db):
    member = get_user_model().objects.create_user("member", is_staff=True)
    ClientKey.issue("Laptop", user=member)
    assert titles(rf, member) == {"Dashboard", "Requests", "Sessions", "Client keys"}


def test_the_sidebar_marks_the_page_one_is_on(rf, admin_user):
    request = rf.get(url("provider", "add"))
    request.user = admin_user
    marked = [item["title"] for group in sidebar(request) for item in group["items"] if item["active"]]
    assert marked == ["Providers"]


def test_an_empty_list_says_so(admin_client):
    text = admin_client.get(url("secretpattern", "changelist")).content.decode()
    assert "Only the built-in patterns apply" in text


def test_a_list_without_a_match_offers_all_rows(admin_client):
    text = admin_client.get(url("provider", "changelist"), {"q": "nonsense"}).content.decode()
    assert "Nothing matches" in text
    assert "Show all" in text


def test_a_user_chooses_the_language(admin_client):
    admin_client.post("/admin/i18n/setlang/", {"language": "zh-hans", "next": "/admin/"})
    assert 'lang="zh-hans"' in admin_client.get("/admin/").content.decode()


def test_a_new_user_may_log_in(admin_client):
    form = admin_client.get(reverse("admin:auth_user_add")).context["adminform"].form
    assert form.initial["is_staff"] is True


def titles(rf, user):
    request = rf.get("/admin/")
    request.user = user
    return {str(item["title"]) for group in sidebar(request) for item in group["items"]}
