"""User, session and service tier."""

import hashlib

import pytest

from gateway.conversion.context import ClientFacts
from tests.conversion.converting import convert, request_of

CLAUDE_CODE = '{"device_id":"abc","account_uuid":"","session_id":"s-1"}'


def outcome_of(options=None, client=None, **fields):
    return convert(request_of(**fields), options, client)


def by(user_id):
    return {"metadata": {"user_id": user_id}}


@pytest.mark.parametrize("user_id", ["u-1", "a.b:c@d_e", "x" * 64])
def test_a_harmless_user_id_is_unchanged(user_id):
    assert outcome_of(**by(user_id)).body["user"] == user_id


@pytest.mark.parametrize("user_id", [CLAUDE_CODE, "x" * 65, "x" * 200, "a b", "é", "half\ud800"])
def test_any_other_user_id_is_hashed(user_id):
    digest = hashlib.sha256(user_id.encode("utf-8", "replace")).hexdigest()
    assert outcome_of(**by(user_id)).body["user"] == digest


@pytest.mark.parametrize("fields", [{}, by(None), by(""), {"metadata": None}])
def test_no_user_id_sends_no_field(fields):
    assert "user" not in outcome_of(**fields).body


def test_the_field_follows_the_profile():
    assert outcome_of({"user_field": "safety_identifier"}, **by("u")).body["safety_identifier"] == "u"
    dropped = outcome_of({"user_field": "drop"}, **by("u"))
    assert "user" not in dropped.body
    assert dropped.codes == ["dropped"]


def digest_of(text):
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def test_the_session_is_hashed_with_the_key_into_a_field_or_a_header():
    client = ClientFacts(key_id="7", session="s-1")
    outcome = outcome_of({"session_key": "prompt_cache_key"}, client)
    assert outcome.body["prompt_cache_key"] == digest_of("7:s-1")
    assert outcome.headers == {}
    outcome = outcome_of({"session_key": "header:x-s"}, client)
    assert outcome.headers == {"x-s": digest_of("7:s-1")}
    assert digest_of("7:s-1") not in str(outcome.body)


def test_each_agent_of_a_session_has_a_key_of_its_own():
    keys = {
        outcome_of(
            {"session_key": "prompt_cache_key"},
            ClientFacts("7", "s", headers={"x-claude-code-agent-id": agent} if agent else {}),
        ).body["prompt_cache_key"]
        for agent in ("", "a1", "a2", "a1")
    }
    assert keys == {digest_of("7:s"), digest_of("7:s:a1"), digest_of("7:s:a2")}


def test_without_a_session_the_user_stands_in_and_without_both_nothing_is_sent():
    options = {"session_key": "prompt_cache_key", "user_field": "drop"}
    assert outcome_of(options, ClientFacts("7"), **by("u")).body["prompt_cache_key"] == digest_of("7:u")
    assert "prompt_cache_key" not in outcome_of(options, ClientFacts("7")).body


@pytest.mark.parametrize(
    ("fields", "tier"),
    [
        ({"service_tier": "auto"}, "auto"),
        ({"service_tier": "standard_only"}, "default"),
        ({"service_tier": "priority"}, "priority"),
        ({"speed": "fast"}, "fast"),
        ({"service_tier": "auto", "speed": "fast"}, "fast"),
        ({"speed": "standard"}, None),
        ({"service_tier": 5}, None),
    ],
)
def test_the_service_tier_is_passed_on_where_the_profile_says_so(fields, tier):
    assert outcome_of({"service_tier": "pass"}, **fields).body.get("service_tier") == tier
    assert "service_tier" not in outcome_of(**fields).body


def test_a_dropped_tier_is_in_the_ledger_unless_it_asks_for_nothing_special():
    assert outcome_of(service_tier="auto", speed="standard").codes == []
    assert outcome_of(service_tier="standard_only", speed="fast").codes == ["dropped", "dropped"]
