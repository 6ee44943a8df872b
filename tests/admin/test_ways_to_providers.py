"""A provider's proxy, CAs and client certificate: entered, exported, and never a way out for a secret."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from django.contrib.admin.models import CHANGE, LogEntry

from gateway.conf import GatewayConf
from gateway.config import undoing
from gateway.config.file.document import exported, imported
from gateway.config.snapshot.loader import load
from gateway.config.snapshot.providers import provider_config
from gateway.config.startup import environment
from gateway.models import Provider
from gateway.models.base import opened
from tests.admin.conftest import CREDENTIAL
from tests.admin.pages import errors, form_data, inline_errors, url
from tests.admin.test_credential_origins import asked, nothing_leaks, sent
from tests.upstream.sockets import certificates

pytestmark = pytest.mark.once

__all__ = ["asked"]
PROXY = "http://proxy.example.com:3128"


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """(a CA, a certificate, its key, the certificate of another key)."""

    def made():
        folder = tmp_path_factory.mktemp("pem")
        ca, _ = certificates(folder)
        key, _, rest = (folder / "server.pem").read_text().partition("-----BEGIN CERTIFICATE")
        return ca.read_text(), "-----BEGIN CERTIFICATE" + rest, key

    ca, certificate, key = made()
    return ca, certificate, key, made()[1]


@pytest.fixture
def detours(pem):
    """Ways to somebody else's machine, while the base URL stays what it is."""
    both = {"proxy": "https://evil.example", "ca_certificates": pem[0]}
    return [
        {"proxy": "http://evil.example:3128"},
        {"proxy": "socks5h://evil.example:1080"},
        {"ca_certificates": pem[0]},
        both,
    ]


def test_a_proxy_or_a_ca_asks_for_the_secrets_again_when_it_is_tried_and_when_it_is_saved(
    admin_client, provider, asked, detours
):
    change, test = url("provider", "change", provider.pk), url("provider", "test", provider.pk)
    page = admin_client.get(change)
    for way in detours:
        assert "Enter it again" in admin_client.post(test, form_data(page, **way)).content.decode()
        assert (
            "Enter it again" in admin_client.post(test, form_data(page, headers="", **way)).content.decode()
        )
        refused = admin_client.post(change, form_data(page, **way))
        assert "saved for https://api.example.com" in str(errors(refused)["headers"])
        assert "saved for https://api.example.com" in str(inline_errors(refused))
    assert asked == []
    provider.refresh_from_db()
    assert (provider.proxy, provider.ca_certificates) == ("", "")
    typed = {**detours[3], "headers": "X-New: 1", "credentials-0-value": "typed-anew"}
    assert admin_client.post(change, form_data(page, **typed)).status_code == 302
    assert sent(load().providers["main"]) == ["typed-anew", "1"]


def test_whoever_writes_the_way_the_stored_secrets_stay_behind(admin_client, provider, asked, detours):
    for way in detours:
        Provider.objects.update(**{"proxy": "", "ca_certificates": "", **way})
        config = load().providers["main"]
        assert config.credential_unreadable
        admin_client.post(url("provider", "test", provider.pk))
        admin_client.post(url("provider", "models", provider.pk), {"load": "1"})
        assert nothing_leaks(config, *asked)
        document = exported()
        document["providers"][0] |= {"proxy": "", "ca_certificates": ""}
        imported(document)
        assert sent(load().providers["main"])[0] == CREDENTIAL
        document["providers"][0] |= way
        assert any("enter its value again" in line for line in imported(document))
        assert nothing_leaks(load().providers["main"])


def test_the_environment_s_secrets_take_no_way_that_an_admin_set(db, detours):
    conf = GatewayConf(openai_api_key="sk-env", openai_base_url="https://api.openai.com/v1")
    environment.sync_environment(conf)
    record = Provider.objects.get(origin="environment")
    assert [one.value for one in provider_config(record, conf).credentials] == ["sk-env"]
    for way in detours:
        Provider.objects.update(**{"proxy": "", "ca_certificates": "", **way})
        config = provider_config(Provider.objects.get(pk=record.pk), conf)
        assert config.credential_unreadable
        assert not config.credentials


def test_undoing_a_change_of_the_way_takes_no_secret_along(admin_client, provider):
    change = url("provider", "change", provider.pk)
    typed = {"proxy": "http://evil.example:1", "headers": "", "credentials-0-value": "fake"}
    assert admin_client.post(change, form_data(admin_client.get(change), **typed)).status_code == 302
    changes = LogEntry.objects.filter(change_message__contains='"proxy"', action_flag=CHANGE)
    back = {"proxy": "", "credentials-0-value": CREDENTIAL}
    assert admin_client.post(change, form_data(admin_client.get(change), **back)).status_code == 302
    for entry in changes.order_by("-pk"):
        with pytest.raises(undoing.CannotUndo):
            undoing.undo(entry)
    assert sent(load().providers["main"]) == [CREDENTIAL]


def test_the_login_of_a_proxy_and_our_key_stay_with_what_they_were_saved_for(admin_client, provider, pem):
    change = url("provider", "change", provider.pk)
    secrets = {"headers": "", "credentials-0-value": "anew"}
    way = {"proxy": PROXY, "proxy_login": "me:pass:word", "client_certificate": pem[1], "client_key": pem[2]}
    saved = admin_client.post(change, form_data(admin_client.get(change), **way, **secrets))
    assert saved.status_code == 302
    network = load().providers["main"].network
    assert (network.proxy.host, network.proxy.port, network.proxy.login) == (
        "proxy.example.com",
        3128,
        ("me", "pass:word"),
    )
    assert network.tls.key.strip() == pem[2].strip()
    assert "pass:word" in load().providers["main"].secrets
    page = admin_client.get(change)
    for secret in ("pass:word", pem[2].splitlines()[1]):
        assert secret not in page.content.decode()
    # saved again unchanged, everything stays
    assert admin_client.post(change, form_data(page)).status_code == 302
    assert load().providers["main"].network == network
    refused = admin_client.post(change, form_data(page, proxy="http://evil.example:3128", **secrets))
    assert {"proxy_login", "client_key"} <= set(errors(refused))
    refused = admin_client.post(change, form_data(page, base_url="https://evil.example/v1", **secrets))
    assert "client_key" in errors(refused)
    assert "proxy_login" not in errors(refused)
    Provider.objects.update(proxy="http://evil.example:3128")
    config = load().providers["main"]
    assert config.credential_unreadable
    assert config.network.proxy.host == "evil.example"
    assert (config.network.proxy.login, config.network.tls) == (("", ""), None)
    # without a use they are forgotten
    without = {"proxy": "", "proxy_login": "", "client_certificate": "", **secrets}
    assert admin_client.post(change, form_data(page, **without)).status_code == 302
    provider.refresh_from_db()
    assert not provider.proxy_login
    assert not provider.client_key


def test_a_trial_is_in_the_log_of_changes_with_its_proxy(admin_client, provider, asked):
    typed = {"proxy": "http://evil.example:3128", "headers": "", "credentials-0-value": "anew"}
    page = admin_client.get(url("provider", "change", provider.pk))
    admin_client.post(url("provider", "test", provider.pk), form_data(page, **typed))
    entry = LogEntry.objects.order_by("-pk").first()
    said = "Tested the connection to https://api.example.com/v1 (http://evil.example:3128)."
    assert entry.get_change_message() == said


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("proxy", "socks4://proxy:1", "Enter a URL like"),
        ("proxy", "Direct", "Enter a URL like"),
        ("proxy", "proxy.example.com:3128", "Enter a URL like"),
        ("proxy", "http://me:secret@proxy:1", "go into its login"),
        ("proxy", "http://169.254.169.254:80", "metadata service"),
        ("proxy", "http://proxy:1/path", "Enter a URL like"),
        ("ca_certificates", "no certificate", "not a certificate in PEM form"),
        ("ca_certificates", "-----BEGIN CERTIFICATE-----\né\n-----END CERTIFICATE-----", "outside ASCII"),
    ],
)
def test_what_no_call_could_use_is_not_saved(admin_client, provider, field, text, said):
    change = url("provider", "change", provider.pk)
    typed = {field: text, "headers": "", "credentials-0-value": "anew"}
    assert said in str(errors(admin_client.post(change, form_data(admin_client.get(change), **typed)))[field])


def test_a_certificate_needs_its_own_key_without_a_password(admin_client, provider, pem):
    change = url("provider", "change", provider.pk)
    page = admin_client.get(change)

    def refused(**typed):
        typed = {"client_certificate": pem[1], "headers": "", "credentials-0-value": "anew", **typed}
        return str(errors(admin_client.post(change, form_data(page, **typed))))

    assert "Enter the key" in refused()
    assert "do not go together" in refused(client_certificate=pem[3], client_key=pem[2])
    key = serialization.load_pem_private_key(pem[2].encode(), None)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    locked = key.private_bytes(*form, serialization.BestAvailableEncryption(b"word")).decode()
    assert "protected by a password" in refused(client_key=locked)
    assert pem[2].splitlines()[1] not in refused(client_certificate=pem[3], client_key=pem[2])


def test_the_file_names_variables_for_the_secrets_of_the_way(provider, pem, monkeypatch):
    provider.proxy, provider.client_certificate = PROXY, pem[1]
    provider.proxy_login, provider.client_key = "me:pw", pem[2]
    provider.save()
    document = exported()
    entry = document["providers"][0]
    assert entry["proxy"] == PROXY
    assert entry["proxy_login"] == {"env": "MAIN_PROXY_LOGIN"}
    assert entry["client_key"] == {"env": "MAIN_CLIENT_KEY"}
    Provider.objects.all().delete()
    said = imported(document)
    assert any("client_key" in line for line in said)
    monkeypatch.setenv("MAIN_PROXY_LOGIN", "me:other")
    monkeypatch.setenv("MAIN_CLIENT_KEY", pem[2])
    imported(document)
    record = Provider.objects.get()
    assert opened(record, "proxy_login") == "me:other"
    assert record.network_path().tls.key == pem[2]


def test_the_page_says_when_certificates_expire(admin_client, provider, pem):
    change = url("provider", "change", provider.pk)
    Provider.objects.filter(pk=provider.pk).update(ca_certificates=pem[0])
    ends = x509.load_pem_x509_certificate(pem[0].encode()).not_valid_after_utc
    assert f"CA certificates: {ends:%Y-%m-%d}" in admin_client.get(change).content.decode()
    Provider.objects.filter(pk=provider.pk).update(ca_certificates="not a certificate")
    assert admin_client.get(change).status_code == 200
    assert admin_client.get(url("provider", "add")).status_code == 200
