"""POST /v1/messages, not streamed."""

import asyncio
import gzip
import json
import zlib

import pytest

from gateway.relay.gate import Gate
from gateway.routing.snapshot import Credential
from tests.conftest import asking, rule
from tests.fakes.provider import CUT, SSE, USAGE, Answer, chunk, completion, error


async def test_a_question_is_answered_with_the_providers_text(bench):
    bench.provider.answers("m", completion("Hello"))
    answer = await bench.client.messages(asking())
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["content"] == [{"type": "text", "text": "Hello"}]
    assert answer.json["usage"]["input_tokens"] == USAGE["prompt_tokens"]
    sent = bench.provider.requests[0]
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer sk-upstream-secret"
    assert sent.headers["accept-encoding"] == "identity"
    assert sent.body["messages"] == [{"role": "user", "content": "hi"}]


async def test_the_request_id_of_the_header_is_that_of_the_history(bench):
    bench.provider.answers("m", completion())
    answer = await bench.client.messages(asking())
    assert answer.headers["request-id"] == bench.recorder.last.request_id
    assert len(answer.headers["request-id"]) == len("req_") + 24


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/", "/v1/messages?beta=true"])
async def test_the_path_alone_decides(bench, path):
    bench.provider.answers("m", completion())
    assert (await bench.client.post(path, asking())).status == 200


async def test_the_upstream_model_is_the_mappings_and_the_answer_echoes_the_asked_name(bench):
    bench.configure(rules=[rule("*sonnet*", upstream_model="up-1")])
    bench.provider.answers("up-1", completion())
    answer = await bench.client.messages(asking(model="claude-sonnet-5[1m]"))
    assert bench.provider.requests[0].body["model"] == "up-1"
    assert answer.json["model"] == "claude-sonnet-5[1m]"


@pytest.mark.parametrize(
    "headers",
    [
        {"anthropic-version": "2023-06-01", "anthropic-beta": "effort-2025-11-24,no-such-beta-2099-01-01"},
        {"anthropic-version": "2026-10-21"},
        {"anthropic-version": "1999-01-01", "anthropic-beta": ""},
        {"anthropic-beta": ",,"},
        {"accept": "text/event-stream", "x-stainless-timeout": "600", "idempotency-key": "k"},
        {"content-type": "application/json; charset=utf-8"},
        {"content-type": None},
    ],
)
async def test_versions_betas_and_other_headers_of_clients_are_no_reason_to_refuse(bench, headers):
    bench.provider.answers("m", completion("Hello"))
    answer = await bench.client.messages(asking(temperature=0.3, foo=1), headers=headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    sent = bench.provider.requests[0]
    assert (sent.body["temperature"], "foo" in sent.body) == (0.3, False)
    assert not any(name.startswith(("anthropic-", "x-stainless")) for name in sent.headers)


async def test_the_version_is_enforced_only_where_an_admin_wants_it(bench):
    bench.configure(provider={"options": {"enforce_api_version": True}})
    answer = await bench.client.messages(asking(temperature=0.3), headers={"anthropic-version": "2026-10-21"})
    assert (answer.status, answer.json["error"]["message"]) == (
        400,
        "temperature: Extra inputs are not permitted",
    )
    assert bench.provider.requests == []


async def test_what_cannot_fit_is_refused_before_the_provider_is_paid_for_it(bench):
    bench.configure(rules=[rule(context_window=1000, options={"window_check": "enforce"})])
    answer = await bench.client.messages(asking("word " * 4000))
    assert answer.status == 400
    assert answer.json["error"]["message"].startswith("prompt is too long: ")
    assert bench.provider.requests == []


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("usage", "estimated"), [(USAGE, False), (None, True)])
async def test_usage_the_provider_does_not_tell_is_marked_as_estimated(bench, streamed, usage, estimated):
    silent = completion("Hello")
    silent.body = json.dumps({**json.loads(silent.body), "usage": usage}).encode()
    bench.provider.answers("m", silent)
    await bench.client.messages(asking(stream=streamed))
    outcome = bench.recorder.last
    assert outcome.usage_estimated is estimated
    assert outcome.output_tokens > 0


# --- errors of the provider ----------------------------------------------------------


async def test_the_providers_error_keeps_its_status_and_text_in_anthropics_form(bench):
    bench.provider.answers("m", error(400, "no such parameter"))
    answer = await bench.client.messages(asking())
    assert answer.status == 400
    assert answer.json["type"] == "error"
    assert answer.json["error"] == {"type": "invalid_request_error", "message": "no such parameter"}
    assert answer.json["request_id"] == answer.headers["request-id"]


async def test_a_rejected_credential_of_ours_is_not_the_clients_fault(bench):
    bench.provider.answers("m", error(401, "Incorrect API key provided: sk-upstream-secret"))
    answer = await bench.client.messages(asking())
    assert (answer.status, answer.json["error"]["type"]) == (502, "api_error")
    assert answer.headers["x-should-retry"] == "false"
    assert b"sk-upstream-secret" not in answer.text


async def test_a_rate_limit_keeps_its_retry_after(bench):
    bench.provider.answers("m", error(429, "slow down", {"retry-after": "17"}))
    answer = await bench.client.messages(asking())
    assert (answer.status, answer.json["error"]["type"]) == (429, "rate_limit_error")
    assert answer.headers["retry-after"] == "17"


async def test_an_overflow_arrives_in_the_words_that_make_the_client_compact(bench):
    text = (
        "This model's maximum context length is 1000 tokens. However, your messages resulted in 1200 tokens."
    )
    bench.provider.answers("m", error(400, text, code="context_length_exceeded"))
    answer = await bench.client.messages(asking())
    assert answer.status == 400
    assert answer.json["error"]["message"] == "prompt is too long: 1200 tokens > 1000 maximum"


async def test_a_content_filter_becomes_a_refusal_message(bench):
    bench.provider.answers("m", error(400, "filtered", code="content_filter"))
    answer = await bench.client.messages(asking())
    assert answer.status == 200
    assert answer.json["stop_reason"] == "refusal"
    assert bench.recorder.last.stop_reason == "refusal"
    assert bench.recorder.last.usage_estimated


@pytest.mark.parametrize(
    ("reply", "status", "kind"),
    [
        (Answer(302, {"location": "/x"}, b""), 502, "api_error"),
        (Answer(200, {"content-type": "text/html"}, b"<html>"), 502, "api_error"),
        (Answer(200, {"content-type": "application/json"}, b""), 502, "api_error"),
        (Answer(200, {"content-type": "application/json"}, b"{"), 502, "api_error"),
        (Answer(502, {"content-type": "text/html"}, b"<html><b>Bad gateway</b>"), 502, "api_error"),
        (Answer(503, {}, b""), 529, "overloaded_error"),
        (Answer(504, {}, b""), 504, "timeout_error"),
        (Answer(before_head=[CUT]), 502, "api_error"),
    ],
)
async def test_whatever_the_provider_sends_the_client_gets_anthropics_json(bench, reply, status, kind):
    bench.provider.answers("m", reply)
    answer = await bench.client.messages(asking())
    assert (answer.status, answer.json["error"]["type"]) == (status, kind)
    assert answer.headers["content-type"] == "application/json"
    assert b"<" not in answer.text
    assert bench.recorder.last.state == "error"


async def test_a_refused_connection_says_so(bench):
    bench.configure(provider={"base_url": "http://127.0.0.1:9/v1"})
    answer = await bench.client.messages(asking())
    assert answer.status == 502
    assert (
        answer.json["error"]["message"] == "could not connect to the upstream provider (connection refused)"
    )


async def test_a_silent_provider_times_out(bench):
    bench.configure(provider={"first_byte_timeout": 0.05})
    bench.provider.answers("m", Answer(before_head=[5]))
    answer = await bench.client.messages(asking())
    assert (answer.status, answer.json["error"]["type"]) == (504, "timeout_error")
    assert answer.json["error"]["message"] == "the upstream provider timed out"


async def test_a_failure_that_may_pass_is_tried_again(bench):
    bench.configure(provider={"max_retries": 2})
    bench.set(jitter=lambda: 0.0)
    refused = error(429, "wait", {"retry-after-ms": "1"})
    bench.provider.answers("m", Answer(before_head=[CUT]), refused, completion())
    answer = await bench.client.messages(asking())
    assert answer.status == 200
    outcome = bench.recorder.last
    assert outcome.attempts == 3
    assert [(t.number, t.status, t.state, t.next_step) for t in outcome.tries] == [
        (1, None, "error", "again"),
        (2, 429, "error", "again"),
        (3, 200, "ok", "answered"),
    ]
    assert {(t.provider, t.upstream_model, t.credential) for t in outcome.tries} == {("fake", "m", "first")}


async def test_a_client_error_is_not_tried_again(bench):
    bench.configure(provider={"max_retries": 2})
    bench.provider.answers("m", error(400, "no"))
    await bench.client.messages(asking())
    assert len(bench.provider.requests) == 1


# --- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request body is not valid JSON"),
        (b'{"a":', "The request body is not valid JSON"),
        (b'{"model": NaN}', "The request body is not valid JSON"),
        (b"\xff\xfe", "The request body is not valid JSON"),
        (b"[1]", "Input should be a valid dictionary"),
        (b"{}", "model: Field required"),
        (b'{"model": 5}', "model: Input should be a valid string"),
        (b'{"model": "m"}', "max_tokens: Field required"),
        (b'{"model": "m", "max_tokens": 5}', "messages: Field required"),
        (
            b'{"model": "m", "max_tokens": true, "messages": []}',
            "max_tokens: Input should be a valid integer",
        ),
        (b"[" * 100_000, "The request body is not valid JSON"),
    ],
)
async def test_a_body_that_cannot_be_meant_gets_a_400_that_says_what_is_wrong(bench, body, message):
    answer = await bench.client.messages(body)
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json["error"]["message"].startswith(message)
    assert bench.recorder.last.status == 400


async def test_a_body_nested_too_deeply_is_refused_without_a_traceback(bench):
    deep = '{"type":"object","properties":{"a":' * 400 + "{}" + "}}" * 400
    tool = f'{{"name": "t", "input_schema": {deep}}}'
    body = f'{{"model":"m","max_tokens":5,"messages":[{{"role":"user","content":"x"}}],"tools":[{tool}]}}'
    bench.provider.answers("m", completion())
    answer = await bench.client.messages(body.encode())
    assert answer.status in (200, 400)
    assert "raceback" not in answer.text.decode()


async def test_half_a_surrogate_pair_is_no_reason_to_refuse(bench):
    bench.provider.answers("m", completion())
    body = json.dumps(asking()).replace('"hi"', '"a\\ud800b"').encode()
    assert (await bench.client.messages(body)).status == 200
    assert bench.provider.requests[0].body["messages"][0]["content"] == "a�b"


async def test_a_body_over_the_limit_is_refused_as_too_large(bench):
    answer = await bench.client.messages(b" " * (32 * 1024 * 1024 + 1))
    assert (answer.status, answer.json["error"]["type"]) == (413, "request_too_large")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate"])
async def test_a_compressed_body_is_read(bench, encoding):
    bench.provider.answers("m", completion())
    plain = json.dumps(asking()).encode()
    packed = {
        "gzip": gzip.compress(plain),
        "deflate": zlib.compress(plain),
        "raw deflate": zlib.compress(plain)[2:-4],
    }[encoding]
    headers = {"content-encoding": encoding.split()[-1]}
    assert (await bench.client.messages(packed, headers=headers)).status == 200


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code"),
    [
        ("br", b"x", 400, "request_body_encoding_unsupported"),
        ("gzip", b"x", 400, "request_body_encoding_invalid"),
        ("gzip", gzip.compress(b"x" * 100)[:-10], 400, "request_body_encoding_invalid"),
        ("gzip", gzip.compress(b" " * (33 * 1024 * 1024)), 413, "request_body_too_large_after_decoding"),
    ],
    # the compressed bytes have the time in them: as names they would differ from process to process
    ids=["unknown", "garbage", "cut", "bomb"],
)
async def test_a_body_that_cannot_be_unpacked_says_why(bench, encoding, body, status, code):
    answer = await bench.client.messages(body, headers={"content-encoding": encoding})
    assert answer.status == status
    assert answer.json["error"]["details"]["error_code"] == code


async def test_a_content_type_that_is_not_json_is_refused(bench):
    answer = await bench.client.messages(asking(), headers={"content-type": "text/plain"})
    assert answer.json["error"]["message"] == "content-type must be application/json"


async def test_an_unknown_model_is_not_found_by_its_name(bench):
    bench.configure(rules=[rule("only-this")])
    answer = await bench.client.messages(asking(model="other"))
    assert (answer.status, answer.json["error"]["message"]) == (404, "model: other")


async def test_a_model_whose_provider_is_disabled_is_overloaded_for_now(bench):
    bench.configure(provider={"enabled": False})
    answer = await bench.client.messages(asking())
    assert (answer.status, answer.json["error"]["type"]) == (529, "overloaded_error")
    assert (
        answer.json["error"]["message"]
        == "no upstream provider available for model m: an admin of the gateway must enable one"
    )


# --- answered here ------------------------------------------------------------------------


async def test_the_web_search_request_is_answered_in_words_and_never_reaches_the_provider(bench):
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    body = asking(tools=[tool], tool_choice={"type": "tool", "name": "web_search"})
    answer = await bench.client.messages(body)
    assert answer.status == 200
    assert "web search" in answer.json["content"][0]["text"].lower()
    streamed = await bench.client.messages({**body, "stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.events[-1]["type"] == "message_stop"
    assert bench.provider.requests == []
    assert [outcome.state for outcome in bench.recorder.ended] == ["ok", "ok"]


async def test_a_cache_warming_request_is_answered_here(bench):
    answer = await bench.client.messages({**asking(), "max_tokens": 0})
    assert answer.json["stop_reason"] == "max_tokens"
    assert bench.provider.requests == []


async def test_a_thread_is_refused_in_the_words_that_make_the_sdk_go_on_without(bench):
    answer = await bench.client.messages(asking(thread={"type": "create"}))
    assert answer.status == 400
    assert answer.json["error"]["details"] == {
        "error_code": "thread_unsupported_request",
        "unsupported": ["thread"],
    }


# --- the record --------------------------------------------------------------------------


async def test_what_a_learnt_price_changes_is_the_estimate_and_not_the_counts_that_teach(bench):
    bench.provider.answers("m", completion(), completion())
    request = asking(messages=[{"role": "user", "content": "привет " * 50 + "你好" * 50}])
    await bench.client.messages(request)
    before = bench.recorder.last
    assert (before.letter_tokens, before.cjk_tokens) == (108, 72)
    assert before.estimated_input_tokens == before.vocabulary_tokens > 180
    bench.configure(learnt={("fake", "m"): {"token_letters": 2.0, "token_cjk": 3.0, "token_overhead": 5}})
    await bench.client.messages(request)
    after = bench.recorder.last
    assert after.estimated_input_tokens == before.estimated_input_tokens + 108 + 2 * 72 + 5
    assert [after.vocabulary_tokens, after.letter_tokens, after.cjk_tokens] == [
        before.vocabulary_tokens, 108, 72
    ]  # fmt: skip


async def test_the_outcome_says_what_was_asked_where_it_went_and_what_it_took(bench):
    bench.provider.answers("m", completion("Hello"))
    headers = {
        "x-claude-code-session-id": "s-1",
        "x-claude-code-agent-id": "a-1",
        "user-agent": "claude-cli/2.1.197 (external, cli)",
    }
    await bench.client.messages(asking(top_k=5), headers=headers)
    outcome = bench.recorder.last
    assert (outcome.state, outcome.status, outcome.endpoint) == ("ok", 200, "messages")
    assert (outcome.session_id, outcome.agent_id) == ("s-1", "a-1")
    assert outcome.client.startswith("claude-cli/2.1.197")
    assert (outcome.asked_model, outcome.provider, outcome.upstream_model) == ("m", "fake", "m")
    assert (outcome.input_tokens, outcome.output_tokens) == (20, 7)
    assert (outcome.stop_reason, outcome.streamed, outcome.attempts) == ("end_turn", False, 1)
    assert outcome.upstream_request_id == "up-1"
    assert [entry["path"] for entry in outcome.ledger] == ["top_k"]
    assert outcome.duration_ms is not None
    assert bench.recorder.open[0].request_id == outcome.request_id


async def test_the_four_texts_are_kept_and_secrets_in_headers_masked(bench):
    bench.provider.answers("m", completion("Hello"))
    answer = await bench.client.messages(asking(), headers={"authorization": "Bearer ccp_secret"})
    bodies = bench.recorder.last.bodies
    assert json.loads(bodies.received) == asking()
    assert json.loads(bodies.sent) == bench.provider.requests[0].body
    assert json.loads(bodies.answered)["choices"][0]["message"]["content"] == "Hello"
    assert bodies.returned == answer.text
    assert "ccp_secret" not in str(bodies.headers)


async def test_with_the_policy_none_no_text_is_kept(bench):
    bench.set(capture_policy="none")
    bench.provider.answers("m", completion())
    await bench.client.messages(asking())
    assert bench.recorder.last.bodies is None


async def test_a_client_that_leaves_before_its_answer_leaves_a_log_line_like_any_other(bench, caplog):
    caplog.set_level("INFO", "gateway.exchange")
    bench.provider.answers("m", Answer(before_head=[10]))
    answering = bench.client.open("POST", "/v1/messages", asking())
    await bench.provider.arrived.wait()
    answering.leave()
    await answering.task
    assert [record.state for record in caplog.records if record.name == "gateway.exchange"] == ["cancelled"]


async def test_a_non_streaming_client_that_leaves_is_noticed_upstream_and_in_the_history(bench):
    bench.provider.answers("m", Answer(before_head=[10]))
    answering = bench.client.open("POST", "/v1/messages", asking())
    await bench.provider.arrived.wait()
    answering.leave()
    await answering.task
    await asyncio.wait_for(bench.provider.closed_by_client.wait(), 1)
    assert bench.recorder.last.state == "cancelled"


@pytest.mark.parametrize("reply", [error(400, "no"), completion("hi")], ids=["an error", "an answer"])
async def test_a_client_that_leaves_while_the_history_is_written_makes_room_for_the_next(bench, reply):
    waiting, written = asyncio.Event(), asyncio.Event()

    class Slow(type(bench.recorder)):
        async def settled(self, outcome):
            waiting.set()
            await written.wait()
            await super().settled(outcome)

    gate = Gate(1)
    bench.set(gate=gate, recorder=Slow())
    bench.provider.answers("m", reply)
    answering = bench.client.open("POST", "/v1/messages", asking())
    await waiting.wait()
    answering.leave()
    await answering.task
    assert gate.inside == 0


SECRET = "correct-horse-battery"
SAYS = {"error": {"message": f"the key {SECRET} is bad", "type": "server_error", "code": 503}}
INSIDE = [
    ("chat", Answer(headers={"content-type": "application/json"}, body=json.dumps(SAYS).encode())),
    (
        "chat",
        Answer(headers=SSE, pieces=[chunk({"content": "half"}), f"data: {json.dumps(SAYS)}\n\n".encode()]),
    ),
    (
        "anthropic",
        Answer(
            headers=SSE,
            pieces=[
                b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","usage":{}}}\n\n',
                f"event: error\ndata: {json.dumps({'type': 'error', **SAYS})}\n\n".encode(),
            ],
        ),
    ),
]


@pytest.mark.parametrize(("protocol", "answer"), INSIDE)
async def test_what_was_sent_is_not_repeated_from_an_error_inside_a_200(bench, protocol, answer):
    bench.configure(provider={"protocol": protocol, "credentials": (Credential(1, "first", SECRET),)})
    bench.provider.answers("m", answer)
    told = await bench.client.messages(asking(stream=answer.headers is SSE))
    assert b"is bad" in told.text
    assert SECRET.encode() not in told.text
    assert SECRET not in repr(bench.recorder.last.error_message)
    assert SECRET not in repr(bench.recorder.last.tries)
