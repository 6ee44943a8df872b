"""The policies of clients on this machine's disk: what answers while neither database nor memory does."""

import json
import stat
from datetime import UTC, datetime

import pytest

from gateway.config import last_policies
from gateway.config.client_policies import policy_for
from gateway.config.last_policies import LastPolicies
from gateway.routing.snapshot import PolicyEntry, ProviderConfig
from tests.conftest import key_entry, rule, snapshot_of

KEYS = (b"k" * 32,)
NOW = datetime(2026, 11, 30, tzinfo=UTC)


def snapshot(**fields):
    keys = [
        key_entry("one", id=1, owner_id=5, signed_in=True),
        key_entry("two", id=2, owner_id=6, signed_in=True, revoked=True),
        key_entry("three", id=3, owner_id=7, owner_active=False, expires_at=5.0),
    ]
    policies = (
        PolicyEntry({"model": "é\u2028", "n": [1.5, None]}),
        PolicyEntry({"permissions": {"deny": ["WebFetch"]}}, group=9),
    )
    return snapshot_of(
        providers=[], keys=keys, policies=policies, groups={5: frozenset({9})}, contact="ann", **fields
    )


def test_who_is_told_what_is_the_same_from_disk(tmp_path):
    kept, before = LastPolicies(tmp_path / "p.json"), snapshot()
    kept.keep(before)
    after = LastPolicies(tmp_path / "p.json").read(KEYS)
    assert after.token_keys == KEYS
    for key in before.keys.values():
        again = after.keys[key.digest]
        assert again.refusal(0) == key.refusal(0) and again.refusal(9) == key.refusal(9)
        assert policy_for(after, again, NOW) == policy_for(before, key, NOW)
    assert sorted(after.sign_ins) == [1, 2]
    assert policy_for(after, None, NOW) == policy_for(before, None, NOW)


def test_the_file_is_its_owners_and_written_only_when_something_changed(tmp_path):
    path = tmp_path / "new" / "p.json"
    kept = LastPolicies(path)
    kept.keep(snapshot())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["p.json"]
    path.unlink()
    kept.keep(snapshot())
    assert not path.exists()
    kept.keep(snapshot(anonymous_allowed=True))
    assert path.exists()


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b'{"form":1}', b'{"form":9}', b'{"form":1,"keys":[{}],"policies":[]}']
)
def test_a_file_that_is_none_of_ours_is_no_state(tmp_path, text):
    path = tmp_path / "p.json"
    path.write_bytes(text)
    assert LastPolicies(path).read(KEYS) is None


def test_nothing_kept_is_no_state_and_a_folder_that_cannot_be_written_stops_nobody(tmp_path):
    assert LastPolicies(tmp_path / "p.json").read(KEYS) is None
    (tmp_path / "file").write_text("")
    LastPolicies(tmp_path / "file" / "p.json").keep(snapshot())


def test_models_that_a_policy_lists_are_the_same_from_disk_for_each_person(tmp_path):
    rules = [rule("gpt-big", id=1), rule("small", id=2)]
    keys = [
        key_entry("ann", id=1, owner_id=5, allowed_models=("small",), signed_in=True),
        key_entry("bob", id=2, owner_id=6, signed_in=True),
        key_entry("eve", id=3, owner_id=7, allowed_models=("small",), signed_in=True),
    ]
    provider = ProviderConfig(slug="fake", name="Fake", base_url="http://x")
    policies = (
        PolicyEntry({"language": "fr"}, lists_models=True),
        PolicyEntry({"model": "small"}, people=frozenset({6})),
    )
    before = snapshot_of(providers=[provider], rules=rules, keys=keys, policies=policies)
    kept = LastPolicies(tmp_path / "p.json")
    kept.keep(before)
    after = LastPolicies(tmp_path / "p.json").read(KEYS)
    for key in (*keys, None):
        assert policy_for(after, key, NOW) == policy_for(before, key, NOW)
    assert policy_for(after, keys[0], NOW).settings["availableModels"] == ["small"]
    assert policy_for(after, keys[1], NOW).settings["model"] == "small"
    assert len(after.policies) == 4  # one list for ann and eve, one for bob and nobody


def test_lists_of_models_are_worked_out_once_for_all_keys_that_may_ask_for_the_same(tmp_path, monkeypatch):
    keys = [
        key_entry(f"{n}", id=n, owner_id=n // 2, allowed_models=("small",) * (n % 2)) for n in range(2_000)
    ]
    policies = (PolicyEntry({}, lists_models=True),)
    asked = []
    monkeypatch.setattr(last_policies, "suggested", lambda _snapshot, key, _now: asked.append(key) or {})
    LastPolicies(tmp_path / "p.json").keep(snapshot_of(providers=[], keys=keys, policies=policies))
    assert len(asked) == 2


def test_a_file_of_the_release_before_is_read(tmp_path):
    path = tmp_path / "p.json"
    LastPolicies(path).keep(snapshot())
    told = json.loads(path.read_text())
    told["form"] = 1
    for policy in told["policies"]:
        policy["person"] = None if policy.pop("people") is None else 5
    told["policies"].append({"settings": {"language": "fr"}, "group": None, "person": 5})
    path.write_text(json.dumps(told))
    after = LastPolicies(path).read(KEYS)
    ann, other = after.sign_ins[1], after.sign_ins[2]
    assert policy_for(after, ann, NOW).settings["language"] == "fr"
    assert "language" not in policy_for(after, other, NOW).settings
