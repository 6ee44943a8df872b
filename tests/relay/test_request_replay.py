"""Requests of the history asked again."""

import json

import pytest

from gateway.relay.request_replay import ReplayTarget, pinned, replayed
from gateway.routing.resolve import resolve
from gateway.routing.snapshot import Target
from tests.conftest import asking, rule, snapshot_of
from tests.fakes.provider import completion, error, stream


def snapshot(bench, *rules):
    return snapshot_of(providers=[bench.base], rules=rules)


async def test_a_mapping_is_taken_with_its_options_even_when_it_would_not_match(bench):
    other = rule("gpt-*", id=7, upstream_model="up-*", max_output_tokens=9, enabled=False)
    made = pinned(snapshot(bench, rule(), other), ReplayTarget("fake", "up-*", 7), "claude-x")
    route = resolve(made, "claude-x").route
    assert (route.upstream_model, route.profile.max_output_tokens, route.rule.id) == ("up-claude-x", 9, 7)


async def test_a_target_of_no_mapping_is_taken_as_it_is(bench):
    for rule_id in (None, 1, 99):
        made = pinned(snapshot(bench, rule()), ReplayTarget("fake", "other", rule_id), "claude-x")
        assert resolve(made, "claude-x").route.upstream_model == "other"


async def test_one_of_several_targets_is_taken_alone(bench):
    two = rule(id=3, targets=(Target("fake", "one"), Target("fake", "two")))
    made = pinned(snapshot(bench, two), ReplayTarget("fake", "two", 3), "m")
    assert [route.upstream_model for route in resolve(made, "m").routes] == ["two"]


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_replay_is_answered_and_stands_in_the_history_as_one(bench, streamed):
    bench.provider.answers("other", stream("Hello") if streamed else completion("Hello"))
    body = json.dumps(asking(stream=streamed)).encode()
    headers = {"anthropic-version": "x", "x-claude-code-session-id": "s", "x-api-key": "[masked]"}
    request_id = await replayed(bench.gateway, ReplayTarget("fake", "other"), "req_0", headers, body, "m")
    outcome = bench.recorder.last
    assert (outcome.request_id, outcome.endpoint, outcome.replay_of) == (request_id, "replay", "req_0")
    assert (outcome.state, outcome.upstream_model, outcome.client_key_id) == ("ok", "other", None)
    assert outcome.session_id == ""
    assert b"Hello" in outcome.bodies.returned
    assert len(bench.gateway.live) == 0


async def test_a_replay_that_fails_is_in_the_history(bench):
    bench.provider.answers("other", error(400, "no"))
    body = json.dumps(asking(stream=True)).encode()
    await replayed(bench.gateway, ReplayTarget("fake", "other"), "req_0", {}, body, "m")
    assert bench.recorder.last.state == "error"
    await replayed(bench.gateway, ReplayTarget("gone", "other"), "req_0", {}, b"nonsense", "m")
    assert bench.recorder.last.status == 400
