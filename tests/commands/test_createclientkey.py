import io
import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from gateway.conf import GatewayConf
from gateway.models import ClientKey
from gateway.security import client_keys

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = io.StringIO()
    call_command("createclientkey", *arguments, stdout=out)
    return out.getvalue()


def test_the_printed_key_is_the_one_whose_digest_is_stored():
    key = re.search(r"ccp_\w{43}", run("Ann"))[0]
    assert ClientKey.objects.get().digest == client_keys.digest(key)


def test_the_lines_for_claude_code_carry_the_key():
    text = run("Ann")
    key = re.search(r"ccp_\w{43}", text)[0]
    assert f"  export ANTHROPIC_AUTH_TOKEN={key}\n  claude" in text


def test_owner_expiry_models_and_capture_are_kept():
    run(
        "Ann",
        "--owner",
        "ann@example.com",
        "--days",
        "2",
        "--model",
        "a*",
        "--model",
        "b",
        "--capture",
        "none",
    )
    record = ClientKey.objects.get()
    assert (record.owner, record.allowed_models, record.capture) == ("ann@example.com", ["a*", "b"], "none")
    assert abs(record.expires_at - timezone.now() - timedelta(days=2)) < timedelta(minutes=1)


def test_a_key_that_is_expired_from_the_start_is_refused():
    with pytest.raises(CommandError, match="from 1 to 36500"):
        run("Ann", "--days", "0")
    assert not ClientKey.objects.exists()


def test_behind_a_proxy_the_lines_carry_the_public_address(monkeypatch):
    conf = GatewayConf(public_url="https://ccproxy.example.org/sub")
    monkeypatch.setattr("gateway.management.commands.createclientkey.gateway_conf", lambda: conf)
    assert "export ANTHROPIC_BASE_URL=https://ccproxy.example.org/sub\n" in run("Ann")
