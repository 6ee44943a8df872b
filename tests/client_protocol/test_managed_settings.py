import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client_protocol.managed_settings import (
    canonical,
    checksum,
    document,
    merged_settings,
    problem_of,
    warnings_of,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"), (-0.0, "0"), (0.1, "0.1"), (1.5, "1.5"), (100.0, "100"), (1e20, "100000000000000000000"),
        (1e21, "1e+21"), (1.5e21, "1.5e+21"), (1e-6, "0.000001"), (1e-7, "1e-7"), (1.25e-7, "1.25e-7"),
        (123456.789, "123456.789"), (-2.5, "-2.5"), (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"), (1e16, "10000000000000000"),
    ],
)  # fmt: skip
def test_numbers_are_printed_as_javascript_prints_them(value, text):
    assert canonical(value) == text


def test_the_text_is_sorted_by_utf16_units_compact_and_unescaped():
    settings = {
        "b": [1, True, None],
        "a": {"\u00e9": '\u4e2d\u2028"\\', "z": {}},
        "\uffff": 1,
        "\U0001f600": 2,
    }
    # an emoji begins with a half that comes before U+FFFF
    assert canonical(settings) == (
        '{"a":{"z":{},"\u00e9":"\u4e2d\u2028\\"\\\\"},"b":[1,true,null],"\U0001f600":2,"\uffff":1}'
    )


def test_the_checksum_is_that_of_the_measured_client():
    settings = {
        "companyAnnouncements": ["x \u00e9\u4e2d"],
        "permissions": {"deny": ["WebFetch", "Bash(curl *)"]},
    }
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(settings) == text
    assert checksum(settings).startswith("sha256:") and len(checksum(settings)) == 71


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_again_as_it_was(value):
    assert float(canonical(value)) == value


def test_later_policies_win_and_rules_of_all_hold():
    everyone = {"model": "a", "permissions": {"deny": ["WebFetch"], "defaultMode": "plan"}, "env": {"A": "1"}}
    person = {"model": "b", "permissions": {"deny": ["Bash(curl *)", "WebFetch"]}, "env": {"B": "2"}}
    found = document([everyone, person])
    assert found.settings == {
        "model": "b",
        "permissions": {"deny": ["WebFetch", "Bash(curl *)"], "defaultMode": "plan"},
        "env": {"A": "1", "B": "2"},
    }
    assert found.etag == f'"{found.checksum}"'
    assert found.body()["checksum"] == checksum(found.settings)
    assert everyone["permissions"]["deny"] == ["WebFetch"]
    assert merged_settings({"a": [1]}, {"a": [2]}) == {"a": [2]}


@pytest.mark.parametrize(
    "settings",
    [[], "x", None, {"a": math.nan}, {"a": math.inf}, {"a": 2**60}, {"a": "\ud800"}, {"a": ["x" * 300_000]}],
)
def test_what_no_client_could_hold_is_no_policy(settings):
    assert problem_of(settings)


def test_a_nest_without_an_end_is_none_either():
    deep: dict = {}
    inner = deep
    for _ in range(200):
        inner["a"] = {}
        inner = inner["a"]
    assert problem_of(deep) == "nested too deeply"


def test_keys_without_a_known_effect_are_warned_of():
    assert warnings_of({"model": "x", "forceLoginMethod": "gateway", "typo": 1}) == [
        "forceLoginMethod",
        "typo",
    ]
    assert problem_of({"model": "x"}) == ""


def test_names_are_warned_of_at_every_level_that_is_known():
    settings = {
        "permissions": {"denny": ["Bash"], "deny": []},
        "sandbox": {"network": {"deniedDomain": []}},
        "env": {"ANY_NAME": "1"},
        "hooks": {"PreToolUses": []},
        "modelPricing": {"overrides": {"any model": {"inputs": 1}}},
    }
    assert warnings_of(settings) == [
        "hooks.PreToolUses",
        "modelPricing.overrides.any model.inputs",
        "permissions.denny",
        "sandbox.network.deniedDomain",
    ]


_EVERYONE = {
    "permissions": {"deny": ["Bash(curl *)", "Read(./.env)"], "disableBypassPermissionsMode": "disable"},
    "deniedMcpServers": [{"serverName": "evil"}],
    "deniedModels": ["opus"],
    "blockedMarketplaces": ["a"],
    "autoMode": {"hard_deny": ["never push"], "soft_deny": ["s"]},
    "sandbox": {"filesystem": {"denyRead": ["~/.ssh"]}, "network": {"deniedDomains": ["evil.example"]}},
    "hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": "check"}]}]},
    "aNewerKey": {"blockedThings": ["x"]},
}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=6,
)


def _with_names_of(settings):
    """Settings with these names, whose values are anything, or objects of the same kind."""
    return st.fixed_dictionaries(
        {},
        optional={
            name: (_JSON | _with_names_of(value) if isinstance(value, dict) else _JSON)
            for name, value in settings.items()
        },
    )


def _restrictions(settings, path=()):
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _restrictions(value, (*path, name))
        elif isinstance(value, list):
            yield from (((*path, name), json.dumps(one)) for one in value)


@pytest.mark.parametrize(
    "above",
    [
        {"permissions": None},
        {"permissions": []},
        {"permissions": {"deny": None}},
        {"permissions": {"deny": {}}},
        {"permissions": {"deny": "Bash(wget *)"}},
        {"permissions": {"deny": [None]}},
        {"permissions": {"disableBypassPermissionsMode": None}},
        {"env": {"A": None}},
        {"env": {"A": ["1"]}},
        {"env": {"A": {"B": "1"}}},
        {"modelOverrides": {"claude-opus-4-7": 1}},
        {"deniedModels": "opus"},
        {"hooks": {"PreToolUse": {"hooks": []}}},
        {"modelPricing": {"overrides": {"m": {"input": "1"}}}},
        {"availableModels": None},
    ],
)
def test_a_value_that_the_client_would_drop_is_no_policy_and_takes_nothing_away(above):
    assert " has to be " in problem_of(above)
    merged = document([_EVERYONE, above]).settings
    assert {name: merged[name] for name in _EVERYONE} == _EVERYONE
    assert problem_of(merged) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (32000, "32000"), (True, "true"), (False, "false"), (0, "0"), (-0.0, "0"), (1.0, "1"), (0.5, "0.5"),
        (1e21, "1e+21"), ("", ""), ("1.0", "1.0"), ("true", "true"),
    ],
)  # fmt: skip
def test_numbers_and_switches_of_the_environment_are_told_as_texts(value, text):
    settings = {"env": {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": value, "A": "b"}}
    assert problem_of(settings) == ""
    below = {"env": {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "64000", "C": 1}}
    found = document([below, settings])
    assert found.settings == {"env": {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": text, "A": "b", "C": "1"}}
    assert found.checksum == checksum(json.loads(json.dumps(found.settings)))
    # numbers of other names stay what they are
    assert document([{"cleanupPeriodDays": 30}]).settings == {"cleanupPeriodDays": 30}


@given(_with_names_of(_EVERYONE))
def test_no_later_policy_takes_away_what_an_earlier_one_forbids(above):
    merged = document([_EVERYONE, above]).settings
    assert set(_restrictions(_EVERYONE)) <= set(_restrictions(merged))
    assert problem_of(merged) == ""
    if not problem_of(above):
        assert set(_restrictions(above)) <= set(_restrictions(merged)) | set(_unknown(above))


def _unknown(above):
    """Of a list under a name of no known shape the last one wins, but not against an object."""
    return [
        one for one in _restrictions(above) if {"aNewerKey", "a", "b", "aa", "ab", "ba", "bb", ""} & {*one[0]}
    ]


def test_what_later_policies_forbid_is_added():
    above = {
        "deniedMcpServers": [{"serverName": "x"}],
        "deniedModels": ["fable", "opus"],
        "hooks": {"PreToolUse": [], "Stop": [{"hooks": []}]},
        "sandbox": {"network": {"deniedDomains": ["y"], "allowedDomains": ["z"]}},
    }
    merged = document([_EVERYONE, above]).settings
    assert merged["deniedModels"] == ["opus", "fable"]
    assert merged["deniedMcpServers"] == [{"serverName": "evil"}, {"serverName": "x"}]
    assert merged["sandbox"]["network"] == {"deniedDomains": ["evil.example", "y"], "allowedDomains": ["z"]}
    assert list(merged["hooks"]) == ["PreToolUse", "Stop"]


def test_objects_and_lists_of_newer_keys_are_kept_too():
    policies = [
        {"deniedThings": {"a": 1}, "blocked": ["x"], "other": [1]},
        {"deniedThings": {"b": [2]}, "blocked": {"y": 1}, "other": {"z": 1}},
        {"deniedThings": ["c"], "blocked": None, "other": 2},
    ]
    assert document(policies).settings == {
        "deniedThings": {"a": 1, "b": [2]},
        "blocked": ["x"],
        "other": {"z": 1},
    }
