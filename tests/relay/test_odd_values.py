"""Any value in any place of a request or of an answer: every exchange ends, with an answer that can be read.

Everything that ends also leaves: its place in the process, its reservation, its row.
"""

import copy
import json

import pytest

from gateway.relay.gate import Gate
from gateway.upstream.failover.health import Health
from tests.conftest import asking
from tests.fakes.provider import SSE, Answer, chunk

# what stands where something else should
ODD = [None, [], {}, 5, -1, 1.5, 10**30, True, "", "x", [[]], [None], {"type": []}, {"a": 1}]
DATA = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
REQUEST = {
    **asking(),
    "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
    "metadata": {"user_id": "somebody"},
    "stop_sequences": ["END"],
    "thinking": {"type": "enabled", "budget_tokens": 50},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "tools": [
        {"name": "look", "description": "looks", "input_schema": {"type": "object", "properties": {}}},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
        # a tool that something has to load: its name is looked up among those that were
        {"name": "later", "input_schema": {"type": "object"}, "defer_loading": True},
    ],
    "tool_choice": {"type": "auto"},
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image", "source": DATA}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "is_error": True,
                    "content": [{"type": "text", "text": "no"}],
                },
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
            ],
        },
    ],
}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
DETAILS = {
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
COUNTS = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, **DETAILS}
SAID = {"role": "assistant", "content": "hello", "reasoning_content": "hm", "tool_calls": [CALL]}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "up",
    "choices": [{"index": 0, "message": SAID, "finish_reason": "tool_calls"}],
    "usage": COUNTS,
}
CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "model": "up",
    "choices": [{"index": 0, "delta": SAID, "finish_reason": None}],
    "usage": COUNTS,
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "up",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "hello", "citations": [{"type": "char_location", "cited_text": "x"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 9,
        "output_tokens": 3,
        "cache_read_input_tokens": 1,
        "cache_creation": {"ephemeral_1h_input_tokens": 0},
        "output_tokens_details": {"thinking_tokens": 1},
    },
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "hello", "annotations": []}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}"},
    ],
    "usage": {"input_tokens": 9, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 2}},
}
REFUSAL = {"error": {"message": "no", "type": "invalid_request_error", "code": 400, "param": "tools"}}


def places(value, at=()):
    """The path of every value in it."""
    yield at
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(one, (*at, key))


def with_odd(value):
    """(where, `value` with something odd there), for every place and every odd value."""
    for at in places(value):
        for odd in ODD:
            changed = copy.deepcopy(value)
            if not at:
                yield at, odd
                continue
            holder = changed
            for key in at[:-1]:
                holder = holder[key]
            holder[at[-1]] = odd
            yield (*at, odd), changed


def as_json(value, status=200):
    return Answer(status, {"content-type": "application/json"}, json.dumps(value).encode())


def events_of(value):
    tail = [chunk({"content": " on"}), chunk({}, "stop"), b"data: [DONE]\n\n"]
    return Answer(headers=SSE, pieces=[b"data: " + json.dumps(value).encode() + b"\n\n", *tail])


@pytest.fixture
async def left(bench, caplog):
    """left(where): nothing of the exchange is left behind, and nobody was surprised by it."""
    bench.set(gate=Gate(2))
    seen = [0]

    def look(where):
        assert bench.gateway.gate.inside == 0, where
        seen[0] += 1
        assert len(bench.recorder.ended) == seen[0], where
        surprised = [one.getMessage() for one in caplog.records if one.exc_info]
        assert not surprised, (where, surprised)
        assert bench.recorder.last.state != "open", where

    return look


@pytest.mark.parametrize("endpoint", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_request_with_anything_anywhere_is_answered_and_leaves(bench, left, endpoint):
    bench.provider.answers("m", as_json(COMPLETION))
    bench.configure(rules=None)
    for where, request in with_odd(REQUEST):
        answer = await bench.client.post(endpoint, request)
        assert answer.status != 500, where
        assert answer.status == 200 or answer.json["type"] == "error", where
        left(where)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("protocol", "whole"), [("chat", COMPLETION), ("anthropic", MESSAGE), ("responses", RESPONSE)]
)
async def test_an_answer_with_anything_anywhere_is_told_or_refused_and_leaves(
    bench, left, protocol, whole, streamed
):
    bench.configure(provider={"protocol": protocol})
    for where, told in with_odd(whole):
        bench.provider.answers("m", as_json(told))
        answer = await bench.client.messages(asking(stream=streamed))
        assert answer.status != 500, where
        left(where)


async def test_a_chunk_with_anything_anywhere_is_told_or_ends_the_stream_and_leaves(bench, left):
    for where, told in with_odd(CHUNK):
        bench.provider.answers("m", events_of(told))
        answer = await bench.client.messages(asking(stream=True))
        assert answer.status != 500, where
        if answer.status == 200:
            assert answer.events[-1]["type"] in ("message_stop", "error"), where
        left(where)


@pytest.mark.parametrize("status", [200, 400, 429, 500])
async def test_a_refusal_with_anything_anywhere_is_told_and_leaves(bench, left, status):
    for where, told in with_odd(REFUSAL):
        # a limit that was told holds for a while
        bench.set(health=Health())
        bench.provider.answers("m", as_json(told, status))
        answer = await bench.client.messages(asking())
        assert answer.status != 500 or status == 500, where
        left(where)
