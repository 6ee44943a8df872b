"""Policies of clients: whose they are, in what order, and when they change."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from compat.run import PAGE, page
from compat.scenarios import SCENARIOS
from gateway.client_protocol import tried_versions
from gateway.config.client_policies import policy_of
from gateway.config.snapshot.loader import load
from gateway.models import ClientKey, ConfigStamp, ManagedPolicy, Provider, RequestLog
from tests.records import make_mapping

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada")


@pytest.fixture
def team(ada):
    group = Group.objects.create(name="team")
    ada.groups.add(group)
    return group


def told(person):
    found = policy_of(load(), None if person is None else person.pk, NOW)
    return None if found is None else found.settings


def test_everyone_then_groups_then_the_person_whatever_the_positions(ada, team):
    other = get_user_model().objects.create_user("eve")
    ManagedPolicy.objects.create(name="hers", user=ada, settings={"model": "c"}, position=-5)
    ManagedPolicy.objects.create(name="team", group=team, settings={"model": "b", "language": "fr"})
    ManagedPolicy.objects.create(name="all", settings={"model": "a", "cleanupPeriodDays": 3}, position=9)
    assert told(ada) == {"model": "c", "language": "fr", "cleanupPeriodDays": 3}
    assert told(other) == told(None) == {"model": "a", "cleanupPeriodDays": 3}


def test_a_policy_may_list_the_models_here_and_what_settings_say_wins(ada, team):
    provider = Provider.objects.create(name="Fake", slug="fake", base_url="http://127.0.0.1:9/v1")
    for name in ("big", "small"):
        make_mapping(name, provider=provider)
    ManagedPolicy.objects.create(name="all", settings={"language": "fr"}, lists_models=True)
    ClientKey.issue("hers", user=ada, allowed_models=["small"])
    assert [one["model"] for one in told(None)["modelPicker"]["options"]] == ["big", "small"]
    assert told(ada)["availableModels"] == ["small"] and told(ada)["language"] == "fr"
    own = {"modelPicker": {"options": [{"model": "mine"}]}, "availableModels": ["mine"]}
    ManagedPolicy.objects.create(name="team", group=team, settings=own)
    assert told(ada)["modelPicker"] == {"options": [{"model": "mine"}], "replaceBuiltInOptions": True}
    assert told(ada)["availableModels"] == ["mine"]


def test_a_key_that_is_refused_lists_no_models(ada):
    provider = Provider.objects.create(name="Fake", slug="fake", base_url="http://127.0.0.1:9/v1")
    for name in ("big", "small"):
        make_mapping(name, provider=provider)
    ManagedPolicy.objects.create(name="all", lists_models=True)
    ClientKey.issue("hers", user=ada, allowed_models=["small"])
    ClientKey.issue("old", user=ada, expires_at=NOW - timedelta(days=1))
    assert told(ada)["availableModels"] == ["small"]


def test_who_has_no_policy_is_told_so(ada, team):
    assert told(ada) is None
    ManagedPolicy.objects.create(name="team", group=team, settings={"model": "b"})
    ManagedPolicy.objects.create(name="off", settings={"model": "x"}, enabled=False)
    assert told(get_user_model().objects.create_user("eve")) is None


def test_a_change_of_members_and_a_group_that_goes_move_the_stamp(ada, team):
    ManagedPolicy.objects.create(name="team", group=team, settings={"model": "b"})
    assert told(ada) == {"model": "b"}
    before = ConfigStamp.current()
    ada.groups.clear()
    assert ConfigStamp.current() > before
    assert told(ada) is None
    before = ConfigStamp.current()
    team.delete()
    assert ConfigStamp.current() > before
    assert not ManagedPolicy.objects.exists()


def test_a_policy_is_a_settings_file_of_one_kind(ada, team):
    for fields in ({"settings": []}, {"settings": {"a": 2**70}}, {"user": ada, "group": team}):
        with pytest.raises(ValidationError):
            ManagedPolicy(name="x", **fields).full_clean()


def test_the_command_replaces_what_it_gave_and_says_what_is_wrong(ada, tmp_path, capsys):
    file = tmp_path / "p.json"
    for text in ('{"model": "a", "typo": 1}', '{"model": "b"}'):
        file.write_text(text)
        call_command("setpolicy", "--user", "ada", str(file))
    assert "typo" in capsys.readouterr().err
    assert ManagedPolicy.objects.get().settings == {"model": "b"}
    for text in ("[", "[1]", "{"):
        file.write_text(text)
        with pytest.raises(CommandError):
            call_command("setpolicy", "--user", "ada", str(file))
    file.write_text("{}")
    with pytest.raises(CommandError):
        call_command("setpolicy", "--user", "nobody", str(file))


def test_the_page_shows_what_a_person_gets_and_warns_of_odd_keys(admin_client, ada):
    page = admin_client.post(
        "/admin/gateway/managedpolicy/add/",
        {"name": "p", "position": 0, "enabled": "on", "settings": '{"forceLoginMethod": "x", "model": "m"}'},
        follow=True,
    )
    assert "works only in the policy file of the machine" in page.content.decode()
    text = admin_client.get("/admin/gateway/managedpolicy/result/", {"user": "ada"}).content.decode()
    assert "&quot;model&quot;: &quot;m&quot;" in text and "sha256:" in text
    text = admin_client.get("/admin/gateway/managedpolicy/result/", {"user": "nobody"}).content.decode()
    assert "Nobody has this name" in text
    assert admin_client.get("/admin/gateway/personbudget/").status_code == 200


def test_the_page_names_a_policy_of_which_clients_would_drop_something(admin_client, ada):
    address = "/admin/gateway/managedpolicy/result/"
    ManagedPolicy.objects.create(name="sound", settings={"env": {"A": 1}})
    assert "Clients do not get all" not in admin_client.get(address).content.decode()
    ManagedPolicy.objects.create(name="<b>", settings={"model": None})
    text = admin_client.get(address, {"user": "ada"}).content.decode()
    assert "policy &lt;b&gt;: model has to be a text." in text
    assert "&quot;A&quot;: &quot;1&quot;" in text


def test_the_page_says_who_runs_a_version_that_failed_or_was_never_tried(admin_client, monkeypatch):
    monkeypatch.setattr(
        tried_versions,
        "results",
        lambda: {
            "2.1.1": {"on": "2026-11-30", "scenarios": {"a text": {"result": "failed"}}},
            "2.1.2": {
                "on": "2026-11-30",
                "scenarios": {"a text": {"result": "passed"}, "x": {"result": "older"}},
            },
        },
    )
    for number, version in enumerate(("2.1.1", "2.1.2", "2.1.3")):
        RequestLog.objects.create(
            request_id=f"r{number}", key_name=f"key-{version}", client=f"claude-cli/{version} (external, cli)"
        )
    text = admin_client.get("/admin/gateway/managedpolicy/result/").content.decode()
    rows = dict(re.findall(r"<td>key-([\d.]+)</td><td>.*?</td><td>(.*?)</td>", text))
    assert ["fails" in rows["2.1.1"], "tried" in rows["2.1.2"], "never tried" in rows["2.1.3"]] == [True] * 3
    assert "modelPicker" in text or "{}" in text
    assert "api/status-line" in text


def test_results_that_are_shipped_name_scenarios_that_there_are():
    titles = {scenario.title for scenario in SCENARIOS}
    for version, tried in tried_versions.results().items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert set(tried["scenarios"]) <= titles
    assert PAGE.read_text() == page(tried_versions.results())
