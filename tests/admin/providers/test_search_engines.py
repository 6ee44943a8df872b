"""Search engines in admin."""

import pytest

from gateway.config.snapshot.loader import load
from gateway.models import SearchEngine
from tests.admin.pages import errors, form_data, url

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def add(admin_client, **fields):
    page = url("searchengine", "add")
    data = form_data(admin_client.get(page), **{"name": "Ours", "kind": "brave", **fields})
    return admin_client.post(page, data)


def test_an_engine_is_in_force_when_it_is_saved(admin_client):
    add(admin_client, credential="sk-secret")
    engine = load().search_engine
    assert (engine.name, engine.kind, engine.credential) == ("Ours", "brave", "sk-secret")


def test_its_credential_is_stored_sealed_and_never_shown(admin_client):
    add(admin_client, credential="sk-secret")
    record = SearchEngine.objects.get()
    page = admin_client.get(url("searchengine", "change", record.pk))
    assert "sk-secret" not in page.content.decode()
    assert "sk-secret" not in record.credential.token


def test_an_empty_credential_keeps_the_stored_one(admin_client):
    add(admin_client, credential="sk-secret")
    page = url("searchengine", "change", SearchEngine.objects.get().pk)
    admin_client.post(page, form_data(admin_client.get(page), max_results="3"))
    assert (load().search_engine.max_results, load().search_engine.credential) == (3, "sk-secret")


def test_a_searxng_needs_its_address(admin_client):
    response = add(admin_client, kind="searxng")
    assert "Enter the address of your SearXNG." in str(errors(response))


def test_of_two_engines_the_first_that_is_enabled_is_used():
    SearchEngine.objects.create(name="off", kind="brave", position=0, enabled=False)
    SearchEngine.objects.create(name="second", kind="brave", position=2)
    SearchEngine.objects.create(name="first", kind="tavily", position=1)
    assert load().search_engine.name == "first"


def test_an_empty_list_says_what_an_engine_is_for(admin_client):
    assert "No search engine yet" in admin_client.get(url("searchengine", "changelist")).content.decode()
