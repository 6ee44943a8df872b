"""Every preset's endpoints of the Responses and Messages APIs against strict fakes of them."""

from __future__ import annotations

import pytest

from gateway.config.presets.presets import preset
from tests.conftest import rule
from tests.dialects.conversation import SAY, TITLE_TURN, UNASKED, converse
from tests.dialects.runs import run_native, run_responses, shown
from tests.dialects.services import model_of, reached, speakers
from tests.fakes.counters import COUNTED
from tests.fakes.native_endpoints import ENDPOINTS, RESPONSES
from tests.fakes.strict_messages import StrictMessages

STREAMED = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
ALL_BUT_COUNT = {
    "text", "tools", "parallel", "images", "PDF", "thinking", "replay", "structured output", "caching",
}  # fmt: skip


def test_every_endpoint_of_a_preset_is_tried():
    assert set(ENDPOINTS) == set(speakers("anthropic"))
    assert set(RESPONSES) == set(speakers("responses"))


@STREAMED
@pytest.mark.parametrize("slug", RESPONSES)
async def test_the_conversation_passes_a_strict_responses_server(bench, slug, stream):
    run = await run_responses(bench, slug, stream=stream)
    assert len(run.bodies) == len(SAY)
    assert [call["name"] for call in run.seen[0].of("tool_use")] == ["read", "find"]
    assert run.seen[4].stop_reason == "end_turn"
    assert shown(run) >= ALL_BUT_COUNT - {"images", "thinking", "replay"}
    assert (run.told == COUNTED) == bool(run.counted) == RESPONSES[slug].counts


@STREAMED
@pytest.mark.parametrize("slug", ENDPOINTS)
async def test_the_conversation_passes_a_strict_messages_server(bench, slug, stream):
    run = await run_native(bench, slug, stream=stream)
    assert len(run.bodies) == len(SAY)
    for turn, (one, said) in enumerate(zip(run.seen, SAY, strict=True)):
        thought = [] if turn in UNASKED else [said.thought]
        assert [block["thinking"] for block in one.of("thinking")] == thought
        assert "".join(block["text"] for block in one.of("text")) == said.text
        assert [(call["name"], call["input"]) for call in one.of("tool_use")] == list(said.calls)
        assert one.usage["input_tokens"] == 400 + turn
    assert shown(run, {'"cache_control"'}) - {"count"} == ALL_BUT_COUNT
    # what a provider of the Messages API gets is what the client sent
    assert run.bodies[TITLE_TURN]["output_config"]["format"]["type"] == "json_schema"


@pytest.mark.parametrize("slug", ENDPOINTS)
async def test_who_counts_tokens_is_asked_and_who_does_not_is_estimated(bench, slug):
    run = await run_native(bench, slug, stream=True)
    assert (run.told == COUNTED) == bool(run.counted) == ENDPOINTS[slug].counts
    assert run.told > 0
    claims = preset(slug).endpoint("anthropic").count_tokens
    assert slug == "anthropic" or claims == ENDPOINTS[slug].counts


async def test_the_strict_messages_server_refuses_what_is_no_clients(bench):
    """It can find faults: what the gateway sees to is refused when it does not."""
    server = StrictMessages(SAY, path="/elsewhere", header="x-api-key", model="other", counts=False)
    await server.start()
    try:
        there = {**reached("generic-anthropic", server.base_url, "anthropic"), "auth": "bearer"}
        there["base_url"] += "/elsewhere"
        bench.configure(provider=there, rules=[rule(upstream_model=model_of("anthropic", "anthropic"))])
        with pytest.raises(AssertionError):
            await converse(bench.client, stream=True)
    finally:
        await server.stop()
    found = "; ".join(server.refused)
    for said in (
        "no credential in x-api-key",
        "model: claude-opus-5-5",
        "two credentials",
        "Invalid `signature`",
    ):
        assert said in found
