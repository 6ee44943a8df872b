"""A stored secret goes to the origin it was saved for, whichever way the address is changed."""

import pytest
from django.contrib.admin.models import LogEntry

from gateway.admin.providers import provider_trials
from gateway.config import undoing
from gateway.config.file.document import exported, imported
from gateway.config.snapshot.loader import load
from gateway.models import Provider, SearchEngine
from gateway.upstream.trial.probe import Listing
from tests.admin.conftest import CREDENTIAL
from tests.admin.pages import errors, form_data, inline_errors, url

pytestmark = pytest.mark.once

ELSEWHERE = [
    "https://evil.example/v1",
    "http://api.example.com/v1",
    "https://api.example.com:8443/v1",
    "https://api.example.com.evil.example/v1",
]
SECRETS = (CREDENTIAL, "header-secret")


@pytest.fixture
def asked(monkeypatch):
    """The configurations that were asked."""
    calls = []
    monkeypatch.setattr(provider_trials, "probed", lambda config, *_: calls.append(config) or ())
    monkeypatch.setattr(provider_trials, "listed", lambda config, *_: calls.append(config) or Listing(()))
    return calls


def sent(config):
    """The secrets with which a provider would be asked."""
    return [*(one.value for one in config.credentials), *config.headers.values()]


def nothing_leaks(*configs):
    return not any(secret in sent(config) for config in configs for secret in SECRETS)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_testing_at_another_address_asks_for_the_secrets_again(admin_client, provider, asked, address):
    page = admin_client.get(url("provider", "change", provider.pk))
    test = url("provider", "test", provider.pk)
    said = admin_client.post(test, form_data(page, base_url=address)).content.decode()
    assert "Enter it again" in said
    assert asked == []
    # with the headers gone the credential still has to be typed
    said = admin_client.post(test, form_data(page, base_url=address, headers="")).content.decode()
    assert "Enter it again" in said
    assert asked == []
    typed = {"base_url": address, "headers": "", "credentials-0-value": "typed-anew"}
    admin_client.post(test, form_data(page, **typed))
    assert [sent(config) for config in asked] == [["typed-anew"]]


@pytest.mark.parametrize("address", ELSEWHERE)
def test_saving_another_address_asks_for_the_secrets_again(admin_client, provider, address):
    change = url("provider", "change", provider.pk)
    page = admin_client.get(change)
    refused = admin_client.post(change, form_data(page, base_url=address))
    assert "saved for https://api.example.com" in str(errors(refused)["headers"])
    assert "saved for https://api.example.com" in str(inline_errors(refused))
    provider.refresh_from_db()
    assert provider.base_url == "https://api.example.com/v1"
    typed = {"base_url": address, "headers": "X-New: 1", "credentials-0-value": "typed-anew"}
    assert admin_client.post(change, form_data(page, **typed)).status_code == 302
    assert sent(load().providers["main"]) == ["typed-anew", "1"]


def test_another_path_of_the_same_server_keeps_them(admin_client, provider):
    change = url("provider", "change", provider.pk)
    data = form_data(admin_client.get(change), base_url="https://API.example.com:443/v2")
    assert admin_client.post(change, data).status_code == 302
    assert sent(load().providers["main"]) == list(SECRETS)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_whoever_writes_the_address_the_stored_secrets_stay_behind(admin_client, provider, asked, address):
    Provider.objects.update(base_url=address)
    config = load().providers["main"]
    assert config.credential_unreadable
    admin_client.post(url("provider", "test", provider.pk))
    admin_client.post(url("provider", "models", provider.pk), {"load": "1"})
    assert nothing_leaks(config, *asked)
    page = admin_client.get(url("provider", "change", provider.pk)).content.decode()
    assert "enter it again for this address" in page
    Provider.objects.update(base_url="https://api.example.com/v3")
    assert sent(load().providers["main"]) == list(SECRETS)


def test_an_import_leaves_them_behind_and_says_so(provider):
    document = exported()
    document["providers"][0]["base_url"] = "https://evil.example/v1"
    lines = imported(document)
    assert any("enter its value" in line for line in lines)
    assert nothing_leaks(load().providers["main"])


def test_undoing_a_change_of_address_takes_no_secret_along(admin_client, provider):
    change = url("provider", "change", provider.pk)
    typed = {"base_url": "https://evil.example/v1", "headers": "", "credentials-0-value": "fake"}
    admin_client.post(change, form_data(admin_client.get(change), **typed))
    moved = LogEntry.objects.filter(change_message__contains='"base_url"').order_by("-pk").first()
    back = {"base_url": "https://api.example.com/v1", "credentials-0-value": CREDENTIAL}
    admin_client.post(change, form_data(admin_client.get(change), **back))
    returned = LogEntry.objects.filter(change_message__contains='"base_url"').order_by("-pk").first()
    credential = LogEntry.objects.filter(change_message__contains='"value"').order_by("-pk").first()
    for entry in (credential, returned, moved):
        with pytest.raises(undoing.CannotUndo):
            undoing.undo(entry)
    assert sent(load().providers["main"]) == [CREDENTIAL]


def test_each_trial_is_in_the_log_of_changes_with_its_address(admin_client, provider, asked):
    page = admin_client.get(url("provider", "change", provider.pk))
    typed = form_data(
        page, base_url="https://evil.example/v1", headers="", **{"credentials-0-value": "typed-anew"}
    )
    admin_client.post(url("provider", "test", provider.pk), typed)
    admin_client.post(url("provider", "test_unsaved"), typed)
    admin_client.post(url("provider", "models", provider.pk), {"load": "1"})
    said = [entry.get_change_message() for entry in LogEntry.objects.order_by("-pk")[:3]]
    assert said == [
        "Loaded the models of https://api.example.com/v1.",
        "Tested the connection to https://evil.example/v1.",
        "Tested the connection to https://evil.example/v1.",
    ]
    assert admin_client.get("/admin/admin/logentry/").status_code == 200


@pytest.mark.parametrize(
    "address",
    ["http://169.254.169.254/v1", "http://2852039166/v1", "http://[::ffff:a9fe:a9fe]/v1", "http://[fe80::1]/",
     "http://0251.0376.0251.0376/", "http://metadata.google.internal/v1"],
)  # fmt: skip
def test_a_link_local_address_is_neither_tested_nor_saved(admin_client, provider, asked, address):
    change = url("provider", "change", provider.pk)
    typed = form_data(
        admin_client.get(change), base_url=address, headers="", **{"credentials-0-value": "typed-anew"}
    )
    assert (
        "metadata service" in admin_client.post(url("provider", "test", provider.pk), typed).content.decode()
    )
    assert asked == []
    assert "metadata service" in str(errors(admin_client.post(change, typed)))


def test_the_host_of_a_base_url_is_not_for_the_client_to_name(admin_client, provider):
    change = url("provider", "change", provider.pk)
    data = form_data(admin_client.get(change), base_url="https://{model}.example.com/v1")
    assert "in the path only" in str(errors(admin_client.post(change, data)))


def test_a_search_engine_that_moves_asks_for_its_credential_again(admin_client, db):
    record = SearchEngine.objects.create(name="S", kind="brave", credential="sk-search")
    change = url("searchengine", "change", record.pk)
    page = admin_client.get(change)
    for moved in ({"base_url": "https://evil.example"}, {"kind": "tavily"}):
        assert "Enter it again" in str(errors(admin_client.post(change, form_data(page, **moved))))
    SearchEngine.objects.update(base_url="https://evil.example")
    assert load().search_engine is None
    typed = {"base_url": "https://evil.example", "credential": "other"}
    assert admin_client.post(change, form_data(page, **typed)).status_code == 302
    assert load().search_engine.credential == "other"
