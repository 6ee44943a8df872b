"""Requests to a provider that speaks the Messages API itself: what passes, what does not."""

import asyncio
import json

import pytest

from gateway.upstream.failover.health import FAILURES_TO_COOL
from tests.conftest import asking, rule
from tests.fakes import messages
from tests.fakes.provider import CUT, Answer
from tests.fakes.provider import error as chat_error

HEADERS = {"anthropic-beta": "context-1m-2025-08-07,foo", "anthropic-version": "2026-10-21"}


@pytest.fixture
async def native(bench):
    bench.configure(
        provider={"protocol": "anthropic", "auth": "x-api-key"}, rules=[rule("claude-*", upstream_model="m")]
    )
    return bench


def asked(**fields):
    return asking(model="claude-test", **fields)


async def test_a_message_passes_under_the_asked_name_with_the_providers_limits(native):
    native.provider.answers("m", messages.whole({"type": "brand_new", "x": 1}, future=True))
    answer = await native.client.post("/v1/messages?beta=true", asked(future=[1]), headers=HEADERS)
    expected = messages.message({"type": "brand_new", "x": 1}, future=True, model="claude-test")
    assert (answer.status, answer.json) == (200, expected)
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "9"
    assert answer.headers["anthropic-organization-id"] == "org-1"
    assert answer.headers["request-id"].startswith("req_") and answer.headers["request-id"] != "req_up"
    assert "cf-ray" not in answer.headers
    (request,) = native.provider.requests
    assert request.path == "/v1/messages?beta=true"
    assert request.body == {**asked(future=[1]), "model": "m"}
    assert request.headers["x-api-key"] == "sk-upstream-secret"
    assert request.headers["anthropic-beta"] == HEADERS["anthropic-beta"]
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert "authorization" not in request.headers


async def test_a_stream_passes_byte_for_byte_but_for_the_name(native):
    native.provider.answers("m", messages.told())
    answer = await native.client.messages(asked(stream=True))
    body = b"".join([messages.PING, *messages.text_events("Hel", "lo"), *messages.ENDING])
    start, rest = answer.text.split(b"\n\n", 1)
    assert rest == body
    assert json.loads(start.split(b"data: ")[1])["message"]["model"] == "claude-test"
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "9"


@pytest.mark.parametrize("stream", [False, True])
async def test_the_history_knows_what_it_knows_of_other_providers(native, stream):
    tool = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}
    if stream:
        start = messages.event("content_block_start", index=0, content_block=tool)
        ends = messages.event("content_block_stop", index=0)
        native.provider.answers("m", messages.told(start, ends, *messages.ENDING))
    else:
        native.provider.answers("m", messages.whole(tool))
    await native.client.messages(asked(stream=stream))
    last = native.recorder.last
    assert (last.state, last.status, last.stop_reason) == ("ok", 200, "end_turn")
    assert (last.input_tokens, last.output_tokens, last.cache_read_tokens) == (20, 7, 4)
    assert (last.tools_called, last.usage_estimated) == (["Read"], False)
    assert (last.upstream_request_id, last.upstream_model) == ("req_up", "m")
    assert "sk-upstream-secret" not in str(last)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_passes_with_its_status_and_body(native, stream):
    error = messages.error(
        429, "rate_limit_error", "slow", {"retry-after": "3", "anthropic-ratelimit-x": "1"}
    )
    native.provider.answers("m", error)
    answer = await native.client.messages(asked(stream=stream))
    assert (answer.status, answer.text) == (429, error.body)
    assert (answer.headers["retry-after"], answer.headers["anthropic-ratelimit-x"]) == ("3", "1")
    assert native.recorder.last.error_message == "slow"


async def test_a_failure_that_may_pass_is_tried_again(bench):
    bench.configure(provider={"protocol": "anthropic", "max_retries": 1})
    again = messages.error(529, "overloaded_error", "Overloaded", {"retry-after": "0"})
    bench.provider.answers("m", again, messages.whole())
    assert (await bench.client.messages(asking())).status == 200
    assert len(bench.provider.requests) == 2


async def test_the_gateways_wrong_credential_is_not_called_the_clients(native):
    native.provider.answers("m", messages.error(401, "authentication_error", "invalid x-api-key"))
    answer = await native.client.messages(asked())
    assert (answer.status, answer.json["error"]["type"]) == (502, "api_error")
    assert answer.headers["x-should-retry"] == "false"


async def test_what_the_provider_says_in_another_form_is_converted(native):
    native.provider.answers(
        "m", chat_error(400, "too big", type="exceed_context_size_error", n_prompt_tokens=9, n_ctx=5)
    )
    answer = await native.client.messages(asked())
    assert answer.json["error"]["message"] == "prompt is too long: 9 tokens > 5 maximum"


async def test_a_cut_stream_ends_in_an_error_event(native):
    native.provider.answers("m", messages.told(*messages.text_events("Hel")[:2], CUT))
    answer = await native.client.messages(asked(stream=True))
    assert answer.events[-1]["type"] == "error"
    assert native.recorder.last.state == "broken"


async def test_an_error_event_of_the_provider_passes_as_it_came(native):
    failure = messages.event("error", error={"type": "overloaded_error", "message": "busy"})
    go_on = asyncio.Event()
    native.provider.answers("m", messages.told(*messages.text_events("Hel")[:2], go_on, failure))
    answering = native.client.open("POST", "/v1/messages", asked(stream=True))
    await answering.head()
    await answering.piece()
    go_on.set()
    await answering.rest()
    assert answering.text.endswith(failure)
    assert native.recorder.last.error_message == "busy"


async def test_an_error_as_the_first_event_is_an_http_error(native):
    failure = messages.event("error", error={"type": "overloaded_error", "message": "busy"})
    native.provider.answers("m", Answer(headers=messages.SSE, pieces=[failure]))
    answer = await native.client.messages(asked(stream=True))
    assert (answer.status, answer.json["error"]["message"]) == (529, "busy")


async def test_a_provider_that_takes_long_finds_the_message_started_and_its_numbers_still_arrive(native):
    go_on = asyncio.Event()
    native.set(commit_after=0.01, ping_interval=0.02)
    slow = messages.told()
    slow.before_head = [go_on]
    native.provider.answers("m", slow)
    answering = native.client.open("POST", "/v1/messages", asked(stream=True))
    await answering.head()
    while answering.text.count(b"event: ping") < 2:
        await answering.piece()
    go_on.set()
    await answering.rest()
    kinds = [event["type"] for event in answering.events if event["type"] != "ping"]
    assert kinds.count("message_start") == 1 and kinds[-1] == "message_stop"
    assert answering.events[-2]["usage"] == messages.USAGE
    assert native.recorder.last.input_tokens == 20


async def test_an_error_after_a_late_commit_is_an_event(native):
    go_on = asyncio.Event()
    native.set(commit_after=0.01)
    late = messages.error(529, "overloaded_error", "busy")
    late.before_head = [go_on]
    native.provider.answers("m", late)
    answering = native.client.open("POST", "/v1/messages", asked(stream=True))
    await answering.head()
    go_on.set()
    await answering.rest()
    assert answering.events[-1]["error"] == {"type": "overloaded_error", "message": "busy"}


async def test_a_provider_that_did_not_stream_is_streamed(native):
    native.provider.answers("m", messages.whole({"type": "text", "text": "Hi"}, {"type": "brand_new"}))
    answer = await native.client.messages(asked(stream=True))
    starts = [event["content_block"] for event in answer.events if event["type"] == "content_block_start"]
    assert starts == [{"type": "text", "text": ""}, {"type": "brand_new"}]


async def test_a_request_that_the_gateway_would_refuse_is_the_providers_to_judge(native):
    native.provider.answers("m", messages.whole())
    odd = {"model": "claude-test", "messages": "what", "thread": {}, "mcp_servers": [{"x": 1}]}
    assert (await native.client.messages(odd)).status == 200
    assert native.provider.requests[0].body == {**odd, "model": "m"}


# Counting


async def test_the_provider_counts_where_it_can(native):
    counted = {"input_tokens": 77, "future": 1}
    native.provider.answers("m", Answer(headers=messages.JSON, body=json.dumps(counted).encode()))
    answer = await native.client.post("/v1/messages/count_tokens?beta=true", asked(), headers=HEADERS)
    assert (answer.status, answer.json) == (200, counted)
    (request,) = native.provider.requests
    assert request.path == "/v1/messages/count_tokens?beta=true"
    assert request.headers["anthropic-beta"] == HEADERS["anthropic-beta"]
    last = native.recorder.last
    assert (last.endpoint, last.input_tokens, last.usage_estimated) == ("count_tokens", 77, False)


@pytest.mark.parametrize(
    "answer",
    [
        messages.error(500, "api_error", "x"),
        messages.error(404, "not_found_error", "model: m"),
        Answer(headers=messages.JSON, body=b'{"input_tokens": "many"}'),
        Answer(headers=messages.JSON, body=b"no json"),
        Answer(headers=messages.JSON, pieces=[CUT]),
    ],
)
async def test_a_counter_that_fails_is_stood_in_for_and_asked_again(native, answer):
    native.provider.answers("m", answer)
    for _ in range(2):
        counted = await native.client.post("/v1/messages/count_tokens", asked())
        assert 5 <= counted.json["input_tokens"] <= 20
    assert len(native.provider.requests) == 2


async def test_a_provider_without_a_counter_is_asked_once(native):
    native.provider.answers("m", Answer(404, {"content-type": "text/plain"}, b"404 page not found"))
    for _ in range(2):
        counted = await native.client.post("/v1/messages/count_tokens", asked())
        assert 5 <= counted.json["input_tokens"] <= 20
    assert len(native.provider.requests) == 1


async def test_a_header_that_is_not_ascii_passes_as_the_bytes_it_came_in(native):
    native.provider.answers("m", messages.whole({"type": "text", "text": "hi"}))
    answer = await native.client.messages(asked(), headers={"user-agent": "caf\u00e9"})
    assert answer.status == 200
    (request,) = native.provider.requests
    assert request.headers["user-agent"].encode("latin-1") == "caf\u00e9".encode()


@pytest.mark.parametrize("value", ["a\rb: c", "a\nb: c", "a\x00b"])
async def test_a_header_that_cannot_be_sent_on_is_the_clients_fault(native, value):
    native.provider.answers("m", messages.whole({"type": "text", "text": "hi"}))
    for _ in range(FAILURES_TO_COOL):
        answer = await native.client.messages(asked(), headers={"anthropic-beta": value})
        assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert native.provider.requests == []
    assert native.recorder.last.tries == ()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_credential_that_an_error_repeats_does_not_reach_the_client(native, stream):
    told = {"type": "invalid_request_error", "message": "no such key: sk-upstream-secret0123456789"}
    native.provider.answers("m", Answer(400, {}, json.dumps({"type": "error", "error": told}).encode()))
    answer = await native.client.messages(asked(stream=stream))
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert b"0123456789" not in answer.text
    assert "0123456789" not in native.recorder.last.error_message
