import dataclasses

import pytest

from gateway.conf import GatewayConf
from gateway.config.startup.environment import sync_environment
from gateway.templatetags import gateway_setup


@pytest.fixture
def index(admin_client):
    return lambda: admin_client.get("/admin/").content.decode()


def test_the_index_says_when_only_the_demo_answers_and_what_to_do(index):
    sync_environment(GatewayConf())
    text = index()
    assert "Only the built-in demo answers now" in text
    assert "/admin/gateway/provider/add/" in text


def test_the_index_is_silent_once_a_real_provider_serves(index):
    sync_environment(GatewayConf(openai_api_key="sk"))
    assert "demo" not in index()


def test_the_index_says_when_credentials_cannot_be_stored(index, monkeypatch):
    conf = dataclasses.replace(gateway_setup.gateway_conf(), field_encryption_keys=())
    monkeypatch.setattr(gateway_setup, "gateway_conf", lambda: conf)
    assert "FIELD_ENCRYPTION_KEYS is not set" in index()


def test_the_pages_are_named_ccproxy(index):
    assert "<title> Dashboard | ccproxy</title>" in index()


def test_strangers_see_the_login_alone(client, db):
    assert client.get("/admin/").status_code == 302
