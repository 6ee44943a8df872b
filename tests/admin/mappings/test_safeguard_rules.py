"""Rules of auto mode's safety check in the console."""

import pytest
from django.core.exceptions import ValidationError

from gateway.config.snapshot.loader import load
from gateway.models import SafeguardRule
from gateway.safeguards.rules import SAFE

LIST = "/admin/gateway/safeguardrule/"


def test_the_safe_rules_come_with_one_click_and_only_once(admin_client):
    assert load().safeguard_rules == ()
    for _ in range(2):
        assert admin_client.post(f"{LIST}safe/").status_code == 302
        assert SafeguardRule.objects.count() == len(SAFE)
    assert [one.decision for one in load().safeguard_rules] == ["allow"] * len(SAFE)
    assert admin_client.get(f"{LIST}safe/").status_code == 403


def test_an_action_can_be_tried(admin_client):
    SafeguardRule.objects.create(decision="deny", tool="Bash", command="rm", explanation="never")
    text = admin_client.get(f"{LIST}test/", {"tool": "Bash", "input": "sudo rm -rf <x>"}).content.decode()
    assert "deny Bash rm" in text and "never" in text and "&lt;x&gt;" in text
    text = admin_client.get(f"{LIST}test/", {"tool": "Read", "input": '{"file_path": "/x"}'}).content.decode()
    assert "no rule fits" in text
    assert admin_client.get(LIST).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [{"decision": "allow"}, {"decision": "deny", "command": "a", "path": "/b"}, {"decision": "maybe"}],
)
def test_a_rule_that_means_nothing_is_refused(db, fields):
    with pytest.raises(ValidationError):
        SafeguardRule(**fields).full_clean()
