"""What OpenAI documents of its streams and service tiers is in its presets."""

import pytest

from gateway.config.presets.presets import preset
from gateway.conversion.context import ClientFacts
from gateway.conversion.dialects import DIALECTS
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from tests.conversion import openai_types
from tests.conversion.converting import new_ids, request_of
from tests.conversion.legal_chat import violations as chat_violations
from tests.conversion.legal_responses import violations

JUDGES = {
    "openai": ("gpt-6.1-sol", violations, openai_types.accept_response),
    "openai-chat": ("gpt-5.6-sol", chat_violations, openai_types.accept),
}


def asked(slug, **fields):
    known, model = preset(slug), JUDGES[slug][0]
    rules = [rule.options for rule in known.model_rules if rule.match.search(model)]
    route = {"protocol": known.protocol, "provider": slug, "upstream_model": model}
    profile = Profile.merged(known.options, *rules, route)
    ledger = Ledger()
    made = DIALECTS[known.protocol].request(
        request_of(**fields), profile, ClientFacts("k", "s"), new_ids(), ledger
    )
    return made.body, [entry.path for entry in ledger.entries]


@pytest.mark.parametrize("slug", JUDGES)
def test_streams_are_asked_for_without_padding_and_the_judges_take_it(slug):
    body, _ = asked(slug, stream=True)
    assert body["stream_options"]["include_obfuscation"] is False
    _model, judge, types = JUDGES[slug]
    assert [found for found in judge(body) if "stream" in found] == []
    types({**body, "model": "m"})


@pytest.mark.parametrize("slug", JUDGES)
def test_an_answer_that_is_not_streamed_has_no_stream_options(slug):
    assert "stream_options" not in asked(slug)[0]


@pytest.mark.parametrize("slug", JUDGES)
@pytest.mark.parametrize(
    ("fields", "tier"),
    [
        ({}, None),
        ({"speed": "fast"}, "fast"),
        ({"service_tier": "auto"}, "auto"),
        ({"service_tier": "standard_only"}, "default"),
        ({"service_tier": "flex"}, "flex"),
    ],
)
def test_the_tier_that_is_asked_for_is_passed(slug, fields, tier):
    body, paths = asked(slug, **fields)
    assert body.get("service_tier") == tier
    assert not {"service_tier", "speed"} & set(paths)


@pytest.mark.parametrize("told", [[], {}, {"include_usage": True}, {"include_obfuscation": "no"}, None])
def test_the_judge_of_responses_knows_the_stream_options(told):
    legal = asked("openai", stream=True)[0]
    assert any(
        "obfuscation" in one or "options" in one for one in violations({**legal, "stream_options": told})
    )
    unstreamed = {name: value for name, value in legal.items() if name != "stream"}
    assert "stream_options without stream" in list(violations(unstreamed))
