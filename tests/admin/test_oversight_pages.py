"""Retention, holds, patterns and reads as pages."""

import re

import pytest

from gateway.history.access import note_read
from gateway.models import Retention, SecretPattern
from tests.admin.pages import form_data

pytestmark = pytest.mark.django_db


def test_retention_is_one_form_that_says_what_goes_next(admin_client):
    page = admin_client.get("/admin/gateway/retention/", follow=True).content.decode()
    assert "The next purge removes" in page
    admin_client.post(
        "/admin/gateway/retention/1/change/", {"body_days": 30, "row_days": "", "total_days": ""}
    )
    assert Retention.current().body_days == 30


def test_totals_must_outlive_requests(admin_client):
    admin_client.get("/admin/gateway/retention/", follow=True)
    page = admin_client.post("/admin/gateway/retention/1/change/", {"row_days": 30, "total_days": 7})
    assert "at least as long" in page.content.decode()


def test_a_hold_is_of_something(admin_client):
    page = admin_client.post("/admin/gateway/legalhold/add/", {"reason": "r", "session_id": ""})
    assert "or both" in page.content.decode()


@pytest.mark.parametrize(
    ("pattern", "problem"), [("(", "no regular expression"), ("a*", "matches everything")]
)
def test_a_pattern_that_cannot_work_is_refused(admin_client, pattern, problem):
    page = admin_client.post(
        "/admin/gateway/secretpattern/add/", {"name": "p", "pattern": pattern, "enabled": "on"}
    )
    assert problem in page.content.decode()
    assert not SecretPattern.objects.exists()


def test_the_form_of_a_pattern_names_the_built_in_ones(admin_client):
    assert "anthropic-key" in admin_client.get("/admin/gateway/secretpattern/add/").content.decode()


def test_reads_are_listed_and_cannot_be_changed(admin_client, admin_user):
    note_read(admin_user, "req_1", "conversation")
    assert "req_1" in admin_client.get("/admin/gateway/contentread/").content.decode()
    assert admin_client.get("/admin/gateway/contentread/add/").status_code == 403


def test_the_retention_page_proposes_days_and_keeps_everything_until_it_is_saved(admin_client):
    page = admin_client.get("/admin/gateway/retention/", follow=True)
    assert "90 days are proposed" in page.content.decode()
    assert page.context["adminform"].form["body_days"].value() == 90
    assert Retention.current().body_days is None
    admin_client.post("/admin/gateway/retention/1/change/", form_data(page))
    assert Retention.current().body_days == 90
    page = admin_client.get("/admin/gateway/retention/", follow=True).content.decode()
    assert "are proposed" not in page


@pytest.mark.parametrize(
    ("address", "title"),
    [("/admin/gateway/hourlytotal/", "Costs"), ("/admin/gateway/hourlyoutcome/", "Models")],
)
def test_a_page_that_stands_for_itself_is_headed_by_its_own_name(admin_client, address, title):
    page = admin_client.get(address).content.decode()
    head = re.sub("<[^>]+>", " ", page[page.index("<h1") : page.index("</h1>")])
    assert title in head and "ourly" not in head
