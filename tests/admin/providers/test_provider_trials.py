"""The pages that try a provider; what is asked of it is tested in tests/upstream/trial/test_probe.py."""

import json
import re

import pytest

from gateway.admin.providers import provider_trials
from gateway.config.snapshot.loader import load
from gateway.models import ModelMapping, Provider
from gateway.routing.resolve import resolve
from gateway.upstream.trial.models_list import OfferedModel
from gateway.upstream.trial.probe import Level, Listing
from tests.admin.conftest import CREDENTIAL
from tests.admin.pages import form_data, url

pytestmark = pytest.mark.once

WORKS = (
    Level("reachable", "passed", milliseconds=12),
    Level("key", "passed", "answered", milliseconds=13),
    Level("answer", "passed", "", "OK", 400),
    Level("tool_call", "failed", "no_call", "", 900),
)


@pytest.fixture
def asked(monkeypatch):
    """What the probe was asked with."""
    calls = []

    def probed(config, path, model=""):
        calls.append((config, path, model))
        return WORKS

    monkeypatch.setattr(provider_trials, "probed", probed)
    return calls


def listing(monkeypatch, *models, levels=()):
    monkeypatch.setattr(provider_trials, "listed", lambda config, path, sizes="": Listing(levels, models))


def test_the_four_levels_are_shown_with_times_and_what_to_do(admin_client, mapping, asked):
    response = admin_client.post(url("provider", "test", mapping.targets.get().provider_id))
    text = response.content.decode()
    assert [level.title for level in response.context["levels"]] == [
        "Reachable", "Key accepted", "Short answer", "Streamed tool call",
    ]  # fmt: skip
    assert "choose a model that can" in text
    assert "400" in text
    assert "This provider works" not in text


def test_the_stored_provider_is_asked_with_the_model_of_its_mapping(admin_client, mapping, asked):
    admin_client.post(url("provider", "test", mapping.targets.get().provider_id))
    [(config, path, model)] = asked
    assert (config.credentials[0].value, path, model) == (CREDENTIAL, "/models", "gpt-4o")


def test_looking_at_the_test_page_asks_nobody(admin_client, provider, asked):
    assert admin_client.get(url("provider", "test", provider.pk)).status_code == 200
    assert asked == []


def test_a_form_is_tested_before_it_is_saved(admin_client, db, asked):
    page = admin_client.get(url("provider", "add"))
    typed = {
        "preset": "generic", "base_url": "http://new.example/v1", "credentials-0-value": "typed-secret",
        "test_model": "mine",
    }  # fmt: skip
    response = admin_client.post(url("provider", "test_unsaved"), form_data(page, **typed))
    [(config, _path, model)] = asked
    assert (config.base_url, config.credentials[0].value, model) == (
        "http://new.example/v1",
        "typed-secret",
        "mine",
    )
    assert not Provider.objects.exists()
    assert "typed-secret" not in response.content.decode()


def test_a_changed_form_is_tested_with_the_stored_credential_and_not_saved(admin_client, provider, asked):
    page = admin_client.get(url("provider", "change", provider.pk))
    admin_client.post(
        url("provider", "test", provider.pk), form_data(page, base_url="https://api.example.com/v2")
    )
    [(config, _path, _model)] = asked
    assert (config.base_url, config.credentials[0].value) == ("https://api.example.com/v2", CREDENTIAL)
    assert dict(config.headers)["X-Team-Token"] == "header-secret"
    provider.refresh_from_db()
    assert provider.base_url == "https://api.example.com/v1"


def test_a_form_with_mistakes_says_them_and_asks_nobody(admin_client, db, asked):
    page = admin_client.get(url("provider", "add"))
    response = admin_client.post(
        url("provider", "test_unsaved"), form_data(page, base_url="ftp://x", preset="generic")
    )
    assert "Enter a URL like" in response.content.decode()
    assert asked == []


def test_testing_needs_the_right_to_change(clerk, provider, asked):
    client = clerk("view_provider")
    assert client.post(url("provider", "test", provider.pk)).status_code == 403
    assert client.post(url("provider", "test_unsaved")).status_code == 403
    assert client.post(url("provider", "models", provider.pk), {"load": "1"}).status_code == 403
    assert asked == []


def test_the_list_leads_to_the_test(admin_client, provider):
    text = admin_client.get(url("provider", "changelist")).content.decode()
    assert f'href="{url("provider", "test", provider.pk)}"' in text


def test_the_form_knows_every_preset(admin_client, db):
    presets = admin_client.get(url("provider", "add")).context["presets"]
    assert presets["deepseek"]["base_url"].startswith("https://")
    assert json.dumps(presets)


def test_models_are_loaded_with_their_sizes_and_hostile_names_are_text(admin_client, provider, monkeypatch):
    listing(monkeypatch, OfferedModel("big", 128000, 8000), OfferedModel('"><script>alert(1)</script>'))
    text = admin_client.post(url("provider", "models", provider.pk), {"load": "1"}).content.decode()
    assert "2 models" in text
    assert "128000" in text or "128,000" in text
    assert "<script>alert" not in text


def test_loaded_models_come_with_a_proposal(admin_client, provider, monkeypatch):
    listing(monkeypatch, OfferedModel("x-pro"), OfferedModel("x"), OfferedModel("x-mini"))
    text = admin_client.post(url("provider", "models", provider.pk), {"load": "1"}).content.decode()
    assert re.findall(r'value="([^"]*)" selected', text) == ["*opus*", "*sonnet*", "*haiku*"]
    assert "as a proposal" in text


def test_the_page_of_the_models_loads_them_at_once_and_only_once(admin_client, provider, monkeypatch):
    listing(monkeypatch, OfferedModel("x"))
    address = url("provider", "models", provider.pk)
    assert "data-load-at-once" in admin_client.get(address).content.decode()
    assert "data-load-at-once" not in admin_client.post(address, {"load": "1"}).content.decode()


def test_the_list_tests_all_for_those_who_may(admin_client, clerk, provider):
    assert "data-test-all" in admin_client.get(url("provider", "changelist")).content.decode()
    assert "data-test-all" not in clerk("view_provider").get(url("provider", "changelist")).content.decode()


def test_chosen_models_become_mappings_whose_sizes_follow_the_list(admin_client, provider, monkeypatch):
    listing(monkeypatch, OfferedModel("big", 128000, 8000), OfferedModel("small", None, 4000))
    admin_client.post(url("provider", "models", provider.pk), {"load": "1"})
    data = {
        "make": "1", "models": "3", "model-0-id": "big", "model-0-pattern": "*opus*",
        "model-1-id": "left", "model-1-pattern": "", "model-2-id": "small", "model-2-pattern": "small",
    }  # fmt: skip
    admin_client.post(url("provider", "models", provider.pk), data)
    made = [
        (m.pattern, m.position, m.context_window, m.max_output_tokens, m.targets.get().upstream_model)
        for m in ModelMapping.objects.order_by("position")
    ]
    assert made == [("*opus*", 10, None, None, "big"), ("small", 20, None, None, "small")]
    profile = resolve(load(), "claude-opus").route.profile
    assert (profile.context_window, profile.max_output_tokens) == (128000, 8000)
    # the same page again, after the provider has changed its mind
    listing(monkeypatch, OfferedModel("big", 64000, None))
    admin_client.post(url("provider", "models", provider.pk), {"load": "1"})
    profile = resolve(load(), "claude-opus").route.profile
    assert (profile.context_window, profile.max_output_tokens) == (64000, None)


def test_models_made_after_a_catch_all_are_reached(admin_client, provider):
    data = {
        "make": "1", "models": "3", "model-0-id": "first", "model-0-pattern": "*",
        "model-1-id": "second", "model-1-pattern": "*sonnet*",
        "model-2-id": "exact", "model-2-pattern": "exact",
    }  # fmt: skip
    said = admin_client.post(url("provider", "models", provider.pk), data, follow=True).content.decode()
    assert "3 mappings were made and are in force" in said and "never reached" not in said
    found = {
        asked: resolve(load(), asked).route.upstream_model for asked in ("x", "claude-sonnet-5", "exact")
    }
    assert found == {"x": "first", "claude-sonnet-5": "second", "exact": "exact"}


def test_making_mappings_needs_the_right_to_add_them(clerk, provider):
    client = clerk("view_provider", "change_provider")
    data = {"make": "1", "models": "1", "model-0-id": "m", "model-0-pattern": "*"}
    assert client.post(url("provider", "models", provider.pk), data).status_code == 403
    assert not ModelMapping.objects.exists()


def test_a_provider_without_a_list_says_what_to_do(admin_client, provider, monkeypatch):
    listing(monkeypatch, levels=(Level("reachable", "failed", "unreachable", "connection refused", 3),))
    text = admin_client.post(url("provider", "models", provider.pk), {"load": "1"}).content.decode()
    assert "Check host and port" in text
    assert url("modelmapping", "add") in text


def test_a_credential_that_was_set_aside_is_brought_back(admin_client, provider):
    credential = provider.credentials.get()
    credential.set_aside(401, "invalid key")
    page = admin_client.get(url("provider", "change", provider.pk)).content.decode()
    back = url("provider", "credential_back", provider.pk, credential.pk)
    assert f'formaction="{back}"' in page
    admin_client.post(back)
    assert not provider.credentials.get().is_set_aside


def set_aside(provider, *values):
    """More credentials beside the one it has, all of them refused."""
    for value in values:
        provider.add_credential(value, value)
    for record in provider.credentials.all():
        record.set_aside(401, "no")


def refuse(monkeypatch, *values):
    def probed(config, path, model=""):
        answer = "failed" if config.credentials[0].value in values else "passed"
        return (Level("reachable", "passed"), Level("answer", answer))

    monkeypatch.setattr(provider_trials, "probed", probed)


def test_the_test_brings_back_what_is_accepted_again_and_nothing_else(admin_client, provider, monkeypatch):
    set_aside(provider, "sk-bad", "sk-good")
    refuse(monkeypatch, "sk-bad")
    text = admin_client.post(url("provider", "test", provider.pk)).content.decode()
    assert [record.is_set_aside for record in provider.credentials.all()] == [False, True, False]
    assert "sk-good was set aside, is accepted again" in text
    assert "sk-bad is still not accepted" in text


def test_the_form_as_it_is_stored_brings_back_too(admin_client, provider, monkeypatch):
    set_aside(provider)
    refuse(monkeypatch)
    page = admin_client.get(url("provider", "change", provider.pk))
    admin_client.post(url("provider", "test", provider.pk), form_data(page))
    assert not provider.credentials.get().is_set_aside


@pytest.mark.parametrize(
    "changed", [{"base_url": "http://other.example/v1"}, {"credentials-0-value": "another"}]
)
def test_a_form_that_is_not_saved_brings_nothing_back(admin_client, provider, monkeypatch, changed):
    set_aside(provider)
    refuse(monkeypatch)
    page = admin_client.get(url("provider", "change", provider.pk))
    admin_client.post(url("provider", "test", provider.pk), form_data(page, **changed))
    assert provider.credentials.get().is_set_aside


def test_bringing_back_needs_the_right_to_change(clerk, provider):
    credential = provider.credentials.get()
    credential.set_aside(401, "invalid key")
    response = clerk("view_provider").post(url("provider", "credential_back", provider.pk, credential.pk))
    assert response.status_code == 403
    assert provider.credentials.get().is_set_aside
