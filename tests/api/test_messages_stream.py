"""POST /v1/messages, streamed: when the 200 goes out, signs of life, breaks, leaving clients."""

import asyncio
import json

import pytest

from tests.conftest import asking
from tests.fakes.provider import CUT, END, SSE, TRAILER, USAGE, Answer, chunk, completion, error, stream


@pytest.fixture(params=["by messages", "straight"], autouse=True)
def way(request, bench):
    """Everything here holds on a server that offers its own way of writing, and on any other."""
    bench.client.direct = request.param == "straight"
    return request.param


def kinds(answer):
    return [event["type"] for event in answer.events]


def said(answer):
    return "".join(
        event["delta"].get("text", "") for event in answer.events if event["type"] == "content_block_delta"
    )


async def test_a_stream_is_answered_event_by_event(bench):
    bench.provider.answers("m", stream("Hel", "lo"))
    answer = await bench.client.messages(asking(stream=True))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert kinds(answer)[:2] == ["message_start", "ping"]
    assert kinds(answer)[-2:] == ["message_delta", "message_stop"]
    assert said(answer) == "Hello"
    assert answer.events[-2]["usage"]["output_tokens"] == USAGE["completion_tokens"]
    assert bench.provider.requests[0].body["stream_options"] == {"include_usage": True}


async def test_text_goes_out_while_the_provider_still_writes(bench):
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("first", go_on, "second"))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    while b"first" not in answering.text:
        await answering.piece()
    assert b"second" not in answering.text
    go_on.set()
    await answering.rest()
    assert said(answering) == "firstsecond"


async def test_what_follows_the_first_piece_goes_straight_where_that_is_offered(bench, way):
    first, second = asyncio.Event(), asyncio.Event()
    bench.provider.answers("m", stream("a", first, "b", second, "c"))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    for text, go_on in ((b'"a"', first), (b'"b"', second)):
        while text not in answering.text:
            await answering.piece()
        go_on.set()
    await answering.rest()
    assert said(answering) == "abc"
    assert (b'"b"' in b"".join(answering.straight)) is (way == "straight")
    assert b"message_stop" not in b"".join(answering.straight)
    assert bench.recorder.last.bodies.returned == answering.text


async def test_a_client_that_is_slow_gets_messages_that_wait_for_it(bench):
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("a", go_on, "b", "c"))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    answering.held_back = True
    await answering.head()
    while b'"a"' not in answering.text:
        await answering.piece()
    go_on.set()
    await answering.rest()
    assert (said(answering), answering.straight) == ("abc", [])


async def test_a_defect_in_the_conversion_of_a_piece_ends_the_answer_and_is_logged(
    bench, monkeypatch, caplog
):
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("a", go_on, "b"))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    while b'"a"' not in answering.text:
        await answering.piece()

    def broken(stream, data):
        raise ZeroDivisionError

    monkeypatch.setattr("gateway.conversion.answers.chat_stream.MessageStream.feed", broken)
    go_on.set()
    await answering.rest()
    assert kinds(answering)[-1] == "error"
    assert "message_stop" not in kinds(answering)
    last = bench.recorder.last
    assert (last.state, last.error_type, last.error_message) == (
        "broken",
        "api_error",
        "Internal server error",
    )
    assert any("unexpected error" in record.message for record in caplog.records)


@pytest.mark.parametrize("method", ["finish", "keepalive", "fail"])
async def test_a_defect_anywhere_in_a_stream_is_an_error_and_never_a_client_that_left(
    bench, monkeypatch, method
):
    go_on = asyncio.Event()
    bench.set(ping_interval=0.05, stale_after=0.05)
    # the provider goes without an end: `fail` says so; with one, `finish` finds it
    bench.provider.answers("m", stream("a", go_on, *(() if method == "finish" else (CUT,)), tail=[]))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    while b'"a"' not in answering.text:
        await answering.piece()

    def broken(stream, *_):
        raise ZeroDivisionError

    monkeypatch.setattr(f"gateway.conversion.answers.chat_stream.MessageStream.{method}", broken)
    if method != "keepalive":
        go_on.set()
    await answering.rest()
    assert kinds(answering)[-1] == "error"
    assert bench.recorder.last.state == "broken"


async def test_tool_arguments_go_out_while_the_provider_still_writes(bench):
    go_on = asyncio.Event()
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}
    more = {"index": 0, "function": {"arguments": "1}"}}
    bench.provider.answers(
        "m",
        stream(
            chunk({"tool_calls": [call]}),
            go_on,
            chunk({"tool_calls": [more]}),
            tail=[chunk({}, "tool_calls"), chunk(usage=USAGE), b"data: [DONE]\n\n"],
        ),
    )
    tool = {"name": "f", "input_schema": {"type": "object"}}
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True, tools=[tool]))
    await answering.head()
    while b'{\\"a\\":' not in answering.text:
        await answering.piece()
    go_on.set()
    await answering.rest()
    parts = [e["delta"]["partial_json"] for e in answering.events if e["type"] == "content_block_delta"]
    assert json.loads("".join(parts)) == {"a": 1}
    assert answering.events[-2]["delta"]["stop_reason"] == "tool_use"
    assert bench.recorder.last.tools_called == ["f"]


async def test_what_came_in_one_read_leaves_in_one_piece(bench):
    burst = b"".join(chunk({"content": f"{n} "}) for n in range(50))
    bench.provider.answers("m", Answer(headers=SSE, pieces=[burst + b"".join(TRAILER)]))
    answer = await bench.client.messages(asking(stream=True))
    assert len([piece for piece in answer.pieces if piece]) <= 2
    assert said(answer) == "".join(f"{n} " for n in range(50))


# --- before the first byte --------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "status", "kind"),
    [
        (error(429, "wait"), 429, "rate_limit_error"),
        (error(500, "broken"), 500, "api_error"),
        (Answer(before_head=[CUT]), 502, "api_error"),
        (Answer(headers=SSE, pieces=[CUT]), 502, "api_error"),
        (Answer(headers=SSE, pieces=[b""]), 502, "api_error"),
        (
            Answer(headers=SSE, pieces=[b'data: {"error": {"message": "full", "code": 503}}\n\n']),
            529,
            "overloaded_error",
        ),
        (Answer(headers={"content-type": "text/html"}, pieces=[b"<html>"]), 502, "api_error"),
        (Answer(headers=SSE, pieces=[b": comment\n\n", END]), 502, "api_error"),
    ],
)
async def test_a_failure_before_the_first_event_is_an_http_error_and_no_stream(bench, reply, status, kind):
    bench.provider.answers("m", reply)
    answer = await bench.client.messages(asking(stream=True))
    assert (answer.status, answer.json["error"]["type"]) == (status, kind)
    assert answer.headers["content-type"] == "application/json"
    assert (bench.recorder.last.state, bench.recorder.last.status) == ("error", status)


async def test_an_error_in_the_first_data_of_a_200_is_tried_again_like_any_other(bench):
    bench.configure(provider={"max_retries": 1})
    bench.set(jitter=lambda: 0.0)
    refused = Answer(headers=SSE, pieces=[b'data: {"error": {"message": "full", "code": 503}}\n\n'])
    bench.provider.answers("m", refused, stream("ok"))
    answer = await bench.client.messages(asking(stream=True))
    assert said(answer) == "ok"
    assert bench.recorder.last.attempts == 2


async def test_a_provider_that_does_not_stream_is_answered_as_a_whole_event_sequence(bench):
    bench.provider.answers("m", completion("Hello"))
    answer = await bench.client.messages(asking(stream=True))
    assert kinds(answer)[0] == "message_start"
    assert kinds(answer)[-1] == "message_stop"
    assert said(answer) == "Hello"
    assert bench.recorder.last.output_tokens == USAGE["completion_tokens"]


async def test_a_content_filter_before_the_stream_is_streamed_as_a_refusal(bench):
    bench.provider.answers("m", error(400, "filtered", code="content_filter"))
    answer = await bench.client.messages(asking(stream=True))
    assert answer.events[-2]["delta"]["stop_reason"] == "refusal"
    assert kinds(answer)[-1] == "message_stop"


# --- silence ---------------------------------------------------------------------------


async def test_a_provider_that_is_slow_to_start_gets_the_200_out_early_and_pings_meanwhile(bench):
    bench.set(commit_after=0.02, ping_interval=0.02)
    go_on = asyncio.Event()
    bench.provider.answers(
        "m", Answer(before_head=[go_on], headers=SSE, pieces=[chunk({"content": "x"}), *TRAILER])
    )
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    while answering.text.count(b"event: ping") < 4:
        await answering.piece()
    go_on.set()
    await answering.rest()
    assert kinds(answering)[0] == "message_start"
    assert kinds(answering).count("message_start") == 1
    assert said(answering) == "x"
    assert bench.recorder.last.state == "ok"


async def test_a_failure_after_the_early_200_is_an_error_event_and_not_tried_again(bench):
    bench.configure(provider={"max_retries": 2})
    bench.set(commit_after=0.02)
    go_on = asyncio.Event()
    bench.provider.answers("m", Answer(503, before_head=[go_on], body=b"{}"))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    go_on.set()
    await answering.rest()
    assert kinds(answering) == ["message_start", "ping", "error"]
    assert answering.events[-1]["error"]["type"] == "overloaded_error"
    assert answering.events[-1]["request_id"] == answering.headers["request-id"]
    assert len(bench.provider.requests) == 1
    assert (bench.recorder.last.state, bench.recorder.last.status) == ("broken", 200)


async def test_an_answer_that_is_no_stream_after_the_early_200_still_follows_the_one_start(bench):
    bench.set(commit_after=0.02)
    go_on = asyncio.Event()
    late = completion("late")
    late.before_head = [go_on]
    bench.provider.answers("m", late)
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    go_on.set()
    await answering.rest()
    assert kinds(answering).count("message_start") == 1
    assert said(answering) == "late"


async def test_pings_go_out_while_the_provider_is_silent_in_the_middle(bench):
    bench.set(ping_interval=0.02)
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("a", go_on, "b"))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    while answering.text.count(b"event: ping") < 4:
        await answering.piece()
    go_on.set()
    await answering.rest()
    assert said(answering) == "ab"
    assert kinds(answering)[-1] == "message_stop"


async def test_comments_of_the_provider_are_not_passed_on_but_pings_go_out(bench):
    bench.set(ping_interval=0.02)
    comments = [piece for _ in range(10) for piece in (b": keep-alive\n\n", 0.01)]
    bench.provider.answers("m", stream("a", *comments, "b"))
    answer = await bench.client.messages(asking(stream=True))
    assert b"keep-alive" not in answer.text
    assert kinds(answer).count("ping") >= 3


async def test_after_a_long_silence_an_empty_delta_goes_out_because_pings_do_not_count(bench):
    bench.set(ping_interval=0.01, stale_after=0.05)
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("a", go_on, "b"))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    while b'"text":""}}' not in answering.text:
        await answering.piece()
    go_on.set()
    await answering.rest()
    assert said(answering) == "ab"


async def test_after_a_long_silence_before_any_block_one_is_opened_for_the_empty_delta(bench):
    bench.set(commit_after=0.01, ping_interval=0.01, stale_after=0.05)
    go_on = asyncio.Event()
    bench.provider.answers(
        "m", Answer(before_head=[go_on], headers=SSE, pieces=[chunk({"content": "x"}), *TRAILER])
    )
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    while b"content_block_delta" not in answering.text:
        await answering.piece()
    go_on.set()
    await answering.rest()
    assert said(answering) == "x"
    assert kinds(answering)[-1] == "message_stop"


async def test_a_provider_that_is_silent_for_too_long_breaks_the_answer(bench):
    bench.configure(provider={"silence_timeout": 0.05})
    bench.provider.answers("m", stream("a", 5, "b"))
    answer = await bench.client.messages(asking(stream=True))
    assert answer.events[-1]["error"] == {"type": "timeout_error", "message": "upstream stream timed out"}
    assert bench.recorder.last.state == "broken"
    await bench.provider.closed_by_client.wait()


async def test_usage_that_never_comes_is_waited_for_only_so_long(bench):
    bench.set(trailer_timeout=0.03)
    bench.provider.answers("m", stream("a", chunk({}, "stop"), 5, tail=[]))
    answer = await bench.client.messages(asking(stream=True))
    assert kinds(answer)[-1] == "message_stop"
    assert bench.recorder.last.usage_estimated


async def test_usage_behind_the_finish_reason_ends_the_answer_though_the_connection_stays_open(bench):
    bench.set(trailer_timeout=60)
    never = asyncio.Event()
    bench.provider.answers("m", stream("a", chunk({}, "stop"), chunk(usage=USAGE), never, tail=[]))
    answer = await asyncio.wait_for(bench.client.messages(asking(stream=True)), 5)
    assert kinds(answer)[-1] == "message_stop"
    assert bench.recorder.last.output_tokens == USAGE["completion_tokens"]
    assert not bench.recorder.last.usage_estimated


# --- breaks ----------------------------------------------------------------------------


@pytest.mark.parametrize("end", [CUT, END])
async def test_a_stream_that_is_cut_ends_in_an_error_and_never_looks_complete(bench, end):
    bench.provider.answers("m", stream("partial", 0.02, end, tail=[]))
    answer = await bench.client.messages(asking(stream=True))
    assert said(answer) == "partial"
    assert kinds(answer)[-1] == "error"
    assert "message_stop" not in kinds(answer)
    assert "message_delta" not in kinds(answer)
    assert bench.recorder.last.state == "broken"
    assert bench.recorder.last.error_type == "api_error"


async def test_a_cut_behind_the_finish_reason_is_a_complete_answer(bench):
    bench.provider.answers("m", stream("all", chunk({}, "stop"), 0.02, CUT, tail=[]))
    answer = await bench.client.messages(asking(stream=True))
    assert kinds(answer)[-1] == "message_stop"
    assert bench.recorder.last.state == "ok"


async def test_an_error_inside_the_stream_ends_it(bench):
    bench.provider.answers(
        "m", stream("par", 0.02, b'data: {"error": {"message": "Provider overloaded", "code": 503}}\n\n', 5)
    )
    answer = await bench.client.messages(asking(stream=True))
    assert answer.events[-1]["error"] == {"type": "overloaded_error", "message": "Provider overloaded"}
    await bench.provider.closed_by_client.wait()


async def test_a_local_stop_sequence_closes_the_provider_at_once(bench):
    bench.configure(provider={"options": {"stop": "local"}})
    bench.provider.answers("m", stream("one ST", "OP two", 5))
    answer = await bench.client.messages(asking(stream=True, stop_sequences=["STOP"]))
    assert said(answer) == "one "
    assert answer.events[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "STOP"}
    await bench.provider.closed_by_client.wait()


# --- clients that leave ------------------------------------------------------------------


async def test_a_client_that_leaves_before_the_providers_headers(bench):
    bench.provider.answers("m", Answer(before_head=[5]))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await bench.provider.arrived.wait()
    answering.leave()
    await answering.task
    await bench.provider.closed_by_client.wait()
    assert bench.recorder.last.state == "cancelled"


async def test_a_client_that_leaves_in_the_middle(bench):
    bench.provider.answers("m", stream("a", 5, "b"))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    while b'"a"' not in answering.text:
        await answering.piece()
    answering.leave()
    await answering.task
    await bench.provider.closed_by_client.wait()
    outcome = bench.recorder.last
    assert outcome.state == "cancelled"
    assert outcome.output_tokens is not None
    assert outcome.usage_estimated
    assert len(bench.recorder.ended) == 1


async def test_a_client_that_leaves_in_the_middle_of_a_call_is_noticed_within_a_second(bench):
    begun = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"path":"a'}}
    bench.provider.answers("m", stream(chunk({"tool_calls": [begun]}), 30, tail=[]))
    tool = {"name": "f", "input_schema": {"type": "object"}}
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True, tools=[tool]))
    await answering.head()
    while b"input_json_delta" not in answering.text:
        await answering.piece()
    answering.leave()
    await answering.task
    await asyncio.wait_for(bench.provider.closed_by_client.wait(), 1)
    outcome = bench.recorder.last
    assert (outcome.state, outcome.tools_called) == ("cancelled", ["f"])
    assert len(bench.recorder.ended) == 1


async def test_a_client_that_leaves_while_a_retry_is_waited_for(bench):
    bench.configure(provider={"max_retries": 2})
    bench.provider.answers("m", error(429, "wait", {"retry-after": "9"}))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await bench.provider.arrived.wait()
    await asyncio.sleep(0.02)
    answering.leave()
    await answering.task
    assert bench.recorder.last.state == "cancelled"
    assert len(bench.provider.requests) == 1


async def test_a_provider_connection_is_used_again_after_a_complete_stream(bench):
    bench.provider.answers("m", stream("a"))
    for _ in range(3):
        await bench.client.messages(asking(stream=True))
        await asyncio.sleep(0.02)
    assert bench.provider.connections == 1


async def test_the_events_of_the_stream_and_the_providers_bytes_are_kept(bench):
    bench.provider.answers("m", stream("Hel", 0.01, "lo"))
    answer = await bench.client.messages(asking(stream=True))
    bodies = bench.recorder.last.bodies
    assert bodies.returned == answer.text
    assert bodies.answered.endswith(b"data: [DONE]\n\n")


async def test_only_the_last_event_waits_until_the_outcome_is_durable(bench):
    durable = asyncio.Event()

    async def settled(outcome):
        await durable.wait()
        bench.recorder.ended.append(outcome)

    bench.recorder.settled = settled
    bench.provider.answers("m", stream("all of it"))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    while b"message_delta" not in answering.text:
        await answering.piece()
    assert said(answering) == "all of it"
    assert b"message_stop" not in answering.text
    assert bench.recorder.ended == []
    durable.set()
    await answering.rest()
    assert kinds(answering)[-1] == "message_stop"
    assert bench.recorder.last.state == "ok"


async def test_an_answer_of_which_the_history_keeps_the_beginning_says_so(bench, monkeypatch):
    monkeypatch.setattr("gateway.history.record.capture.MAX_STREAM_BYTES", 100)
    bench.provider.answers("m", stream(*["word"] * 50))
    answer = await bench.client.post("/v1/messages", asking(stream=True))
    assert "message_stop" in kinds(answer)
    paths = [entry["path"] for entry in bench.recorder.last.ledger if entry["code"] == "dropped"]
    assert "history: returned" in paths
