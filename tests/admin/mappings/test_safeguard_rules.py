"""Rules of auto mode's safety check in the console."""

import pytest
from django.contrib.auth.models import Group
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


def test_an_action_is_tried_as_a_person_with_the_rules_of_their_groups(admin_client, django_user_model):
    group, ada = Group.objects.create(name="g"), django_user_model.objects.create_user("ada")
    django_user_model.objects.create_user("bob")
    ada.groups.add(group)
    SafeguardRule.objects.create(decision="deny", tool="Bash", command="rm", group=group)
    SafeguardRule.objects.create(decision="deny", tool="Bash", command="dd", user=ada)

    def tried(command, **more):
        return admin_client.get(f"{LIST}test/", {"input": command, **more}).content.decode()

    for command in ("rm", "dd"):
        assert f"deny Bash {command}" in tried(command, person="ada")
        assert "no rule fits" in tried(command) and "no rule fits" in tried(command, person="bob")
    text = tried("rm", person="<nobody>")
    assert "no user of this name" in text and "no rule fits" not in text and "&lt;nobody&gt;" in text


def test_a_rule_of_a_person_does_not_stand_for_the_safe_rule_of_everybody(admin_client, admin_user):
    for fields in SAFE:
        SafeguardRule.objects.create(decision="allow", user=admin_user, **fields)
    admin_client.post(f"{LIST}safe/")
    assert SafeguardRule.objects.filter(user=None).count() == len(SAFE)


@pytest.mark.parametrize(
    "fields",
    [{"decision": "allow"}, {"decision": "deny", "command": "a", "path": "/b"}, {"decision": "maybe"}],
)
def test_a_rule_that_means_nothing_is_refused(db, fields):
    with pytest.raises(ValidationError):
        SafeguardRule(**fields).full_clean()


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({"decision": "allow", "command": "git log *"}, True),
        ({"decision": "allow", "command": "git commit -m 'fix it'"}, True),
        ({"decision": "allow", "command": "cd x && npm test"}, False),
        ({"decision": "allow", "command": "cat ~/x"}, False),
        ({"decision": "deny", "command": "cd x && npm test"}, True),
        ({"decision": "deny", "command": "&&"}, False),
        ({"decision": "allow", "path": "{cwd}*"}, True),
        ({"decision": "allow", "path": "*/docs/*"}, True),
        ({"decision": "allow", "path": "~/x/*"}, False),
        ({"decision": "allow", "path": "{cwd}/../x"}, False),
        ({"decision": "allow", "path": "docs/*"}, False),
        ({"decision": "deny", "path": "docs/*"}, True),
    ],
)
def test_saving_a_rule_that_never_fits_warns(admin_client, fields, fits):
    form = {
        "position": 0,
        "tool": "",
        "command": "",
        "path": "",
        "explanation": "",
        "enabled": "on",
        **fields,
    }
    text = admin_client.post(f"{LIST}add/", form, follow=True).content.decode()
    assert SafeguardRule.objects.count() == 1
    assert ("This rule never fits" in text) is not fits
