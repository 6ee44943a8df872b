"""make bench-admin asks for every filter, and says what cannot be shown."""

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from bench import admin_times
from bench.admin_pages import Page, pages
from gateway.admin.requests.filters import HISTORY_FILTERS

# that the pages' queries are right on each engine is seen beside the pages
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture
def history(db):
    call_command("seedhistory", rows=120, days=2, bodies=2, verbosity=0)
    get_user_model().objects.create_superuser("bench")


def test_every_filter_of_the_history_is_asked_for(history):
    addresses = [page.address for page in pages()]
    for each in HISTORY_FILTERS:
        assert any(f"?{each.parameter_name}=" in address for address in addresses), each.parameter_name


@pytest.mark.parametrize("only", ["list, with=", "one request", "session of", "member: list", "dashboard"])
def test_the_pages_can_be_shown(history, capsys, only):
    admin_times.measure(1, only)
    told = capsys.readouterr().out
    assert only in told
    assert "status" not in told
    assert "| 0 |" not in told


def test_a_page_that_cannot_be_shown_misses_the_goal(history, capsys, monkeypatch):
    monkeypatch.setattr(admin_times, "pages", lambda: [Page("gone", "/admin/nowhere/")])
    assert admin_times.measure(1, "") == 1
    assert "status 404 at /admin/nowhere/" in capsys.readouterr().out
