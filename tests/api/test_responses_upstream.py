"""Requests to a provider that speaks the Responses API, through the whole gateway."""

import asyncio
import json

import pytest

from tests.conftest import asking
from tests.conversion.legal_responses import violations
from tests.conversion.openai_responses.scripts import event, function_call, reasoning, response, said, sse
from tests.fakes import responses
from tests.fakes.provider import CUT, Answer, error

TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}


@pytest.fixture
async def openai(bench):
    bench.configure(provider={"protocol": "responses", "options": {"reasoning": "effort"}})
    return bench


async def test_a_message_is_asked_for_and_answered(openai):
    openai.provider.answers("m", responses.whole())
    answer = await openai.client.messages(asking())
    assert (answer.status, answer.json["content"]) == (200, [{"type": "text", "text": "Hello"}])
    (request,) = openai.provider.requests
    assert request.path == "/v1/responses"
    assert violations(request.body) == []
    last = openai.recorder.last
    assert (last.input_tokens, last.output_tokens, last.thinking_tokens) == (20, 30, 12)
    assert (last.stop_reason, last.upstream_request_id) == ("end_turn", "up-1")


async def test_the_tier_that_answered_is_noted_whatever_was_asked_for(bench):
    bench.configure(provider={"protocol": "responses", "options": {"service_tier": "pass"}})
    told = {**json.loads(responses.whole().body), "service_tier": "priority"}
    bench.provider.answers("m", Answer(headers=responses.JSON, body=json.dumps(told).encode()))
    answer = await bench.client.messages(asking(speed="fast"))
    assert bench.provider.requests[0].body["service_tier"] == "fast"
    assert answer.json["usage"]["service_tier"] == "priority"
    assert bench.recorder.last.service_tier == "priority"


async def test_a_stream_is_answered_event_by_event(openai):
    items = [reasoning("plan"), said("Hello"), function_call("c1", "f", '{"a":1}')]
    openai.provider.answers("m", responses.told(*items))
    asked = asking(stream=True, tools=[TOOL], thinking={"type": "adaptive"})
    answer = await openai.client.messages(asked)
    starts = [e["content_block"]["type"] for e in answer.events if e["type"] == "content_block_start"]
    assert starts == ["thinking", "text", "tool_use"]
    assert answer.events[-2]["delta"]["stop_reason"] == "tool_use"
    assert openai.recorder.last.tools_called == ["f"]


async def test_a_second_turn_brings_the_reasoning_back(openai):
    items = [reasoning("plan"), function_call("c1", "f")]
    openai.provider.answers("m", responses.told(*items), responses.whole())
    first = asking(stream=True, tools=[TOOL], thinking={"type": "adaptive"})
    events = (await openai.client.messages(first)).events
    signature = next(e["delta"]["signature"] for e in events if e.get("delta", {}).get("signature"))
    turn = [
        {"type": "thinking", "thinking": "plan", "signature": signature},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
    ]
    result = [{"type": "tool_result", "tool_use_id": "c1", "content": "1"}]
    more = [{"role": "assistant", "content": turn}, {"role": "user", "content": result}]
    await openai.client.messages({**first, "stream": False, "messages": first["messages"] + more})
    sent = openai.provider.requests[1].body
    assert violations(sent) == []
    assert [item["type"] for item in sent["input"]] == [
        "message", "reasoning", "function_call", "function_call_output",
    ]  # fmt: skip
    assert sent["input"][1]["encrypted_content"] == "ENC"


async def test_an_overflow_before_the_first_item_is_an_http_error(openai):
    failure = {"code": "context_length_exceeded", "message": "Your input exceeds the context window."}
    events = [
        event("created", response=response(status="in_progress")),
        event("failed", response=response(status="failed", error=failure)),
    ]
    openai.provider.answers("m", Answer(headers=responses.SSE, pieces=[sse(*events)]))
    answer = await openai.client.messages(asking(stream=True))
    assert answer.status == 400
    assert answer.json["error"]["message"].startswith("prompt is too long: ")


async def test_an_http_error_is_read_as_that_of_any_provider(openai):
    openai.provider.answers("m", error(429, "slow down", {"retry-after": "20"}))
    answer = await openai.client.messages(asking())
    assert (answer.status, answer.headers["retry-after"]) == (429, "20")


async def test_a_cut_stream_ends_in_an_error_event(openai):
    openai.provider.answers("m", responses.told(said("Hello there"), between=(CUT,)))
    answer = await openai.client.messages(asking(stream=True))
    assert answer.events[-1]["type"] == "error" or answer.status == 502
    assert openai.recorder.last.state in ("broken", "error")


async def test_a_provider_that_did_not_stream_is_streamed(openai):
    openai.provider.answers("m", responses.whole(said("Hello")))
    answer = await openai.client.messages(asking(stream=True))
    assert answer.events[-1]["type"] == "message_stop"
    assert "Hello" in json.dumps(answer.events)


async def test_a_stop_sequence_ends_the_answer_and_lets_the_provider_go(openai):
    openai.provider.answers("m", responses.told(said("one STOP two " * 200), between=()))
    answer = await openai.client.messages(asking(stream=True, stop_sequences=["STOP"]))
    assert answer.events[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "STOP"}


async def test_a_provider_that_thinks_for_long_is_waited_for_with_pings(openai):
    go_on = asyncio.Event()
    openai.set(commit_after=0.01, ping_interval=0.02)
    openai.provider.answers("m", responses.told(said("Hello"), between=(go_on,)))
    answering = openai.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    while answering.text.count(b"event: ping") < 3:
        await answering.piece()
    go_on.set()
    await answering.rest()
    assert answering.events[-1]["type"] == "message_stop"
