"""`doctor` says what is wrong, and asks nobody outside."""

import base64
import io
import os
import socket

import pytest
from cryptography import x509
from django.core.management import call_command

from gateway import checks
from gateway.conf import gateway_conf
from gateway.management.commands import doctor
from gateway.models import ClientKey, ManagedPolicy, Provider, ProviderCredential
from tests.commands.test_setupgateway import changed
from tests.upstream.sockets import certificates

pytestmark = pytest.mark.django_db


@pytest.fixture
def said(monkeypatch, tmp_path):
    """said(**settings): what doctor writes and its exit code."""

    def said(**settings):
        conf = changed(**{"spool_folder": tmp_path, **settings})
        monkeypatch.setattr(doctor, "gateway_conf", lambda: conf)
        monkeypatch.setattr(checks, "gateway_conf", lambda: conf)
        out = io.StringIO()
        try:
            call_command("doctor", stdout=out)
        except SystemExit as ended:
            return out.getvalue(), ended.code
        return out.getvalue(), 0

    return said


def test_an_installation_in_order_is_told_so_and_no_server_outside_is_asked(said, admin_user, monkeypatch):
    def asked(*_):
        raise AssertionError("it asks a server")

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    monkeypatch.setattr(doctor.checks, "run_checks", lambda tags: [])
    ClientKey.issue("Ann")
    text, code = said()
    assert "1 admins, 1 client keys" in text and "Nothing is wrong." in text
    assert code == 0


def test_nobody_who_can_log_in_is_a_problem(said):
    text, code = said()
    assert "Nobody can log in" in text and "createsuperuser" in text and code == 1


def test_a_policy_of_which_clients_would_drop_something_is_named(said, admin_user, monkeypatch):
    monkeypatch.setattr(doctor.checks, "run_checks", lambda tags: [])
    ClientKey.issue("Ann")
    kept = ManagedPolicy.objects.create(name="Team", settings={"env": {"A": 32000, "B": True}})
    ManagedPolicy.objects.create(name="Off", settings={"model": 1}, enabled=False)
    assert said()[1] == 0
    # as a release stored it that did not look at types
    ManagedPolicy.objects.filter(pk=kept.pk).update(settings={"permissions": {"deny": "Bash"}, "model": "m"})
    text, code = said()
    assert "policy Team: permissions.deny has to be a list of texts." in text and "Off" not in text
    assert code == 1


def test_secrets_that_need_an_older_key_are_told_with_the_command(said, admin_user):
    provider = Provider.objects.create(name="Up", slug="up", base_url="https://up.test/v1")
    ProviderCredential.objects.create(provider=provider, label="first", value="sk-hush")
    new = base64.urlsafe_b64encode(os.urandom(32)).decode()
    text, code = said(field_encryption_keys=(new, *gateway_conf().field_encryption_keys))
    assert "1 secrets need an older key" in text and "rotatekeys" in text and code == 1
    text, code = said(field_encryption_keys=(new,))
    assert "No key in FIELD_ENCRYPTION_KEYS opens" in text and code == 1
    assert "sk-hush" not in text


def test_a_setting_that_stops_the_start_is_told_before_anything_is_read(said):
    text, code = said(min_tokens_limit=9, max_tokens_limit=1)
    assert "MIN_TOKENS_LIMIT (9) is more than MAX_TOKENS_LIMIT (1)." in text and code == 1
    assert "client keys" not in text


@pytest.mark.parametrize(
    ("days", "told"), [(-1, "expired on"), (1, "expires on"), (29, "expires on"), (31, None), (400, None)]
)
def test_certificates_that_need_a_successor_soon_are_told(said, admin_user, tmp_path, days, told):
    (tmp_path / "spool").mkdir()
    certificates(tmp_path, days=days)
    certificate = (tmp_path / "server.pem").read_text()
    ends = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
    Provider.objects.create(
        name="Up", slug="up", base_url="https://up.test/v1",
        client_certificate=certificate,
    )  # fmt: skip
    text, code = said(spool_folder=tmp_path / "spool")
    assert f"Up, client certificate: until {ends:%Y-%m-%d}" in text
    assert (f"Up, client certificate: {told}" in text) is bool(told)
    if told:
        assert code == 1


def test_a_certificate_that_cannot_be_read_stops_nothing(said, admin_user):
    Provider.objects.create(name="Up", slug="up", base_url="https://up.test/v1", ca_certificates="none")
    text, _ = said()
    assert "Certificate" not in text and "History" in text
