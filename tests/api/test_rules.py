"""Rules by what a request is: requests as Claude Code sends them, and where they arrive."""

import dataclasses

import pytest

from gateway.conversion.requests.token_count import plain_input_tokens
from gateway.relay import request_facts
from gateway.routing.snapshot import Target
from gateway.wire import jsontext
from tests.client_protocol.captured import plain, protocol
from tests.conftest import asking, key_entry, rule
from tests.fakes.provider import completion

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
MODELS = ("main", "helper", "small", "huge", "rest", "sighted", "blind")


def by_when(*pairs):
    """Rules for every name, each with a condition and the model it leads to, and one for what is left."""
    made = [rule("*", upstream_model=model, id=n, when=when) for n, (when, model) in enumerate(pairs, 1)]
    return [*made, rule("*", upstream_model="rest", id=99)]


def answering(bench, *pairs, **fields):
    bench.configure(rules=by_when(*pairs), **fields)
    for model in MODELS:
        bench.provider.answers(model, completion(model))


async def arrived(bench, body, headers=None):
    """The model that answered."""
    answer = await bench.client.messages({**body, "stream": False}, headers=headers or {})
    assert answer.status == 200, answer.json
    return answer.json["content"][0]["text"]


BY_CLASS = (
    ({"class": ["subagent"]}, "helper"),
    ({"class": ["auxiliary"]}, "small"),
    ({"class": ["main"]}, "main"),
)


@pytest.mark.parametrize(
    ("capture", "model"),
    [("06", "main"), ("20", "helper"), ("21", "helper"), ("23", "small")],
)
async def test_main_subagent_and_background_requests_go_to_three_models(bench, capture, model):
    answering(bench, *BY_CLASS)
    headers, body = plain(capture)
    sent = {name: value for name, value in headers.items() if name.startswith(("user-agent", "x-claude"))}
    assert await arrived(bench, body, sent) == model
    assert bench.recorder.last.request_class == {"main": "main", "helper": "subagent"}.get(model, "auxiliary")


@pytest.mark.parametrize(("capture", "model"), [("10", "main"), ("09", "small"), ("17", "helper")])
async def test_what_a_client_with_hint_headers_says_decides(bench, capture, model):
    answering(bench, *BY_CLASS)
    headers, body = protocol(capture)
    sent = {name: value for name, value in headers.items() if name.startswith(("user-agent", "x-claude"))}
    assert await arrived(bench, body, sent) == model


async def test_a_long_context_goes_to_the_large_window_exactly_from_the_threshold_on(bench):
    long = asking("word " * 3000)
    tokens = plain_input_tokens(long)
    for threshold, model in ((tokens, "huge"), (tokens + 1, "rest")):
        answering(bench, ({"input_tokens": {"from": threshold}}, "huge"))
        assert await arrived(bench, long) == model
        assert bench.recorder.last.facts["input_tokens"] == tokens


async def test_rules_that_come_while_a_request_is_counted_do_not_choose_for_it(bench, monkeypatch):
    answering(bench, ({"input_tokens": {"from": 1}}, "huge"))
    configuration = bench.gateway.configuration
    # nobody worked out what this one asks for
    newer = by_when(({"max_tokens": {"from": 1}}, "small"))

    async def counted_meanwhile(*_):
        configuration.snapshot = dataclasses.replace(configuration.snapshot, rules=tuple(newer))
        return 1000

    monkeypatch.setattr(request_facts, "_input_tokens", counted_meanwhile)
    assert await arrived(bench, asking()) == "huge"


async def test_a_conversation_is_estimated_the_same_whether_its_beginning_was_seen_before_or_not(bench):
    _, body = plain("06")
    body = {**body, "stream": False}
    tokens = plain_input_tokens(jsontext.loads(jsontext.dumps(body)))
    answering(bench, ({"input_tokens": {"from": tokens, "to": tokens}}, "huge"))
    for _ in range(3):
        assert await arrived(bench, body) == "huge"


async def test_a_request_that_is_refused_for_its_form_is_refused_with_rules_as_without(bench):
    bad = {**asking(), "messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}
    told = []
    for pairs in ((), (({"input_tokens": {"from": 1}}, "huge"),)):
        answering(bench, *pairs)
        told.append((await bench.client.messages(bad)).json["error"])
    assert told[0] == told[1]


async def test_images_are_led_away_and_a_blind_target_is_skipped_when_the_mapping_says_so(bench):
    with_image = asking([IMAGE, {"type": "text", "text": "what is it?"}])
    answering(bench, ({"images": True}, "sighted"))
    assert await arrived(bench, with_image) == "sighted"
    assert await arrived(bench, asking()) == "rest"
    targets = Target("fake", "blind"), Target("fake", "sighted")
    for skips, model in ((True, "sighted"), (False, "blind")):
        blind = rule("*", targets=targets, skips_blind=skips)
        bench.configure(rules=[blind], listed={("fake", "blind"): {"images": "text"}})
        assert await arrived(bench, with_image) == model
        replaced = [entry for entry in bench.recorder.last.ledger if "image" in str(entry)]
        assert bool(replaced) is not skips
        assert await arrived(bench, asking()) == "blind"


@pytest.mark.parametrize(
    ("when", "fields"),
    [
        ({"thinking": True}, {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}),
        ({"effort": ["high"]}, {"output_config": {"effort": "high"}}),
        ({"tools": {"from": 1, "name": ["Bash"]}},
         {"tools": [{"name": "Bash", "input_schema": {"type": "object"}}]}),
        ({"structured_output": True},
         {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}),
        ({"max_tokens": {"from": 5000}}, {"max_tokens": 5000}),
        ({"streamed": False}, None),
    ],
)  # fmt: skip
async def test_what_the_request_asks_for_decides(bench, when, fields):
    answering(bench, (when, "helper"))
    assert await arrived(bench, {**asking(), **(fields or {})}) == "helper"
    if fields:
        assert await arrived(bench, asking()) == "rest"


async def test_key_owner_group_client_and_a_named_header_decide(bench):
    keys = [key_entry("sk-a", id=1, name="ci", owner="ann", owner_id=7), key_entry("sk-b", id=2, name="dev")]
    told = {"x-api-key": "sk-a", "user-agent": "claude-cli/2.1.332 (external)", "x-team": "red"}
    for when in (
        {"key": ["ci"]},
        {"owner": ["a*"]},
        {"group": ["Research"]},
        {"client": ["claude-cli >=2.1.300"]},
        {"header": {"x-team": ["red"]}},
        {"time": {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}},
    ):
        answering(bench, (when, "helper"), keys=keys, group_names={7: frozenset({"research"})})
        assert await arrived(bench, asking(), told) == "helper"
        if "time" not in when:
            other = {"x-api-key": "sk-b", "user-agent": "claude-cli/2.1.200"}
            assert await arrived(bench, asking(), other) == "rest"


async def test_the_facts_are_stored_and_of_headers_only_those_that_a_rule_names(bench):
    answering(bench, ({"header": {"x-team": ["red"]}}, "helper"))
    await arrived(bench, {**asking(), "max_tokens": 77}, {"x-team": "blue", "x-other": "secret-value"})
    assert bench.recorder.last.facts == {"max_tokens": 77, "header": {"x-team": "blue"}}
    assert "secret-value" not in str(bench.recorder.last.facts)


async def test_counting_tokens_follows_the_rules_too(bench):
    answering(bench, ({"class": ["auxiliary"]}, "small"))
    headers = {"user-agent": "claude-cli/2.1.332"}
    answer = await bench.client.post("/v1/messages/count_tokens", asking(), headers=headers)
    assert answer.status == 200
    assert bench.recorder.last.upstream_model == "small"
