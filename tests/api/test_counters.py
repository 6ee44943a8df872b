"""POST /v1/messages/count_tokens, counted by a provider that has a counter beside its protocol."""

import dataclasses
import json

import pytest

from gateway.conversion.provider_state import signature
from gateway.relay import provider_token_count
from tests.conftest import asking, rule
from tests.fakes.counters import COUNTED, counted
from tests.fakes.provider import CUT, Answer

PATH = "/v1/messages/count_tokens"
THERE = {
    "chat": "/v1/chat/completions/input_tokens",
    "responses": "/v1/responses/input_tokens",
    "messages": "/v1/messages/count_tokens",
}
MISSING = Answer(404, {"content-type": "application/json"}, b'{"error": {"message": "File Not Found"}}')
COUNTERS = pytest.mark.parametrize("kind", THERE)


def asked(text="hi", **fields):
    body = asking(text, **fields)
    del body["max_tokens"]
    return body


def counting_by(bench, kind, **options):
    bench.configure(rules=[rule(upstream_model="up", options={"counter": kind, **options})])


def ledger(bench):
    return [(entry["code"], entry["path"], entry["note"]) for entry in bench.recorder.last.ledger]


async def count(bench, body=None):
    answer = await bench.client.post(PATH, body or asked())
    assert answer.status == 200, answer.text
    return answer.json["input_tokens"]


@COUNTERS
async def test_the_provider_counts(bench, kind):
    counting_by(bench, kind)
    bench.provider.answers("up", counted())
    assert await count(bench) == COUNTED
    (request,) = bench.provider.requests
    assert (request.path, request.body["model"]) == (THERE[kind], "up")
    assert request.headers["authorization"].startswith("Bearer ")
    last = bench.recorder.last
    assert (last.input_tokens, last.usage_estimated, last.ledger) == (COUNTED, False, [])


@COUNTERS
async def test_a_counter_that_is_not_there_is_asked_again_after_an_hour(bench, kind):
    counting_by(bench, kind)
    now = [1000.0]
    bench.set(clock=lambda: now[0])
    bench.provider.answers("up", MISSING)
    for _ in range(2):
        assert 5 <= await count(bench) <= 20
    assert len(bench.provider.requests) == 1
    now[0] += provider_token_count.MISSING_FOR + 1
    bench.provider.answers("up", counted())
    assert await count(bench) == COUNTED


async def test_the_ledger_and_the_history_say_that_it_was_estimated(bench):
    counting_by(bench, "chat")
    bench.provider.answers("up", MISSING)
    number = await count(bench)
    last = bench.recorder.last
    assert (last.input_tokens, last.usage_estimated) == (number, True)
    note = "estimated: the provider's counter is not there: status 404"
    assert ledger(bench) == [("defaulted", "input_tokens", note)]


async def test_a_counter_that_is_missing_for_one_model_is_asked_for_another(bench):
    bench.configure(
        rules=[rule("a", upstream_model="one", options={"counter": "chat"}),
               rule("b", upstream_model="two", options={"counter": "chat"})]
    )  # fmt: skip
    bench.provider.answers("one", MISSING)
    bench.provider.answers("two", counted())
    assert await count(bench, {**asked(), "model": "a"}) != COUNTED
    assert await count(bench, {**asked(), "model": "b"}) == COUNTED


async def test_a_counter_that_says_nothing_in_time_is_left_alone_for_a_minute(bench, monkeypatch):
    monkeypatch.setattr(provider_token_count, "PATIENCE", 0.05)
    counting_by(bench, "chat")
    now = [1000.0]
    bench.set(clock=lambda: now[0])
    bench.provider.answers("up", dataclasses.replace(counted(), before_head=[30.0]))
    for _ in range(2):
        assert 5 <= await count(bench) <= 20
    assert len(bench.provider.requests) == 1
    now[0] += provider_token_count.MUTE_FOR + 1
    bench.provider.answers("up", counted())
    assert await count(bench) == COUNTED


async def test_names_that_clients_make_up_do_not_fill_the_memory_of_missing_counters(bench, monkeypatch):
    bench.configure(rules=[rule(upstream_model="", options={"counter": "chat"})])
    without = bench.gateway.without_counter
    monkeypatch.setattr(without, "_half", 5)
    for number in range(20):
        bench.provider.answers(f"claude-{number}", MISSING)
        await count(bench, asked(model=f"claude-{number}"))
    assert len(bench.provider.requests) == 20 and len(without) <= 10


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(body=b"no json"), "told no number"),
        (Answer(body=b"[1]"), "told no number"),
        (Answer(body=b'{"input_tokens": "many"}'), "told no number"),
        (Answer(body=b'{"input_tokens": true}'), "told no number"),
        (Answer(body=b'{"input_tokens": -1}'), "told no number"),
        (Answer(body=b'{"input_tokens": 1.5}'), "told no number"),
        (Answer(400, body=b'{"error": {"message": "sk-secret of yours"}}'), "answered with status 400"),
        (Answer(429, {"retry-after": "60"}, b"{}"), "answered with status 429"),
        (Answer(500, body=b"{}"), "answered with status 500"),
        (Answer(pieces=[CUT]), "could not be asked"),
    ],
)
async def test_what_is_no_count_is_stood_in_for_and_asked_once_each_time(bench, answer, said):
    counting_by(bench, "chat")
    bench.provider.answers("up", answer)
    for times in (1, 2):
        assert 5 <= await count(bench) <= 20
        assert len(bench.provider.requests) == times
        (entry,) = ledger(bench)
        assert said in entry[2]
        assert "secret" not in entry[2]


@pytest.mark.parametrize("kind", ["auto", "none"])
async def test_without_a_counter_nobody_is_asked(bench, kind):
    counting_by(bench, kind)
    assert 5 <= await count(bench) <= 20
    assert bench.provider.requests == []
    assert bench.recorder.last.ledger == []


async def test_a_native_provider_is_not_asked_with_none(bench):
    counting_by(bench, "none", protocol="anthropic")
    assert 5 <= await count(bench) <= 20
    assert bench.provider.requests == []


async def test_the_count_is_scaled_to_the_window_that_the_client_assumes(bench):
    counting_by(bench, "chat", context_window=100_000, client_window=250_000)
    bench.provider.answers("up", counted(400))
    assert await count(bench) == 1000
    assert bench.recorder.last.input_tokens == 400


async def test_context_management_is_answered_with_the_original_number(bench):
    counting_by(bench, "chat")
    bench.provider.answers("up", counted())
    body = asked(context_management={"edits": []})
    answer = (await bench.client.post(PATH, body)).json
    assert answer["context_management"] == {"original_input_tokens": COUNTED}


async def test_what_does_not_fit_into_the_window_is_counted_too(bench):
    counting_by(bench, "chat", context_window=100, window_check="enforce")
    bench.provider.answers("up", counted())
    assert await count(bench, asked("word " * 400)) == COUNTED


async def test_a_wrong_request_is_refused_and_nobody_asked(bench):
    counting_by(bench, "chat")
    answer = await bench.client.post(PATH, {"model": "m"})
    assert (answer.status, answer.json["error"]["message"]) == (400, "messages: Field required")
    assert bench.provider.requests == []


async def test_what_no_provider_takes_is_estimated(bench):
    counting_by(bench, "chat", pdf="reject")
    block = {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
    }
    assert await count(bench, {"model": "m", "messages": [{"role": "user", "content": [block]}]}) > 0
    assert bench.provider.requests == []
    assert ledger(bench)[0][2].startswith("estimated: no provider takes the request: ")


TOOL = {"name": "fs.read", "description": "reads", "input_schema": {"type": "object", "properties": {}}}
WHOLE = {
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=1;"},
        {"type": "text", "text": "Be terse."},
    ],
    "tools": [TOOL],
    "tool_choice": {"type": "any"},
    "thinking": {"type": "enabled", "budget_tokens": 50_000},
    "stream": True,
    "metadata": {"user_id": "u"},
}  # fmt: skip


async def sent(bench, kind, **options):
    counting_by(bench, kind, **options)
    bench.provider.answers("up", counted())
    thought = {"type": "thinking", "thinking": "Hm.", "signature": signature({"p": "fake", "m": "up"})[0]}
    call = {"type": "tool_use", "id": "toolu_1", "name": "fs.read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}
    conversation = [
        {"role": "user", "content": "read"},
        {"role": "assistant", "content": [thought, call]},
        {"role": "user", "content": [result]},
    ]
    assert await count(bench, {"model": "m", "messages": conversation, **WHOLE}) == COUNTED
    return bench.provider.requests[-1].body


async def test_chat_completions_count_what_would_be_sent(bench):
    body = await sent(bench, "chat", reasoning_replay="reasoning_content")
    assert body["messages"][0] == {"role": "system", "content": "Be terse."}
    assert body["messages"][2]["reasoning_content"] == "Hm."
    assert body["tools"][0]["function"]["name"] != "fs.read"
    assert "stream" not in body


async def test_the_responses_api_counts_what_would_be_sent(bench):
    body = await sent(bench, "responses", protocol="responses", reasoning="effort")
    assert body["instructions"] == "Be terse."
    assert body["reasoning"]["effort"]
    assert {item.get("type") for item in body["input"]} >= {"function_call", "function_call_output"}
    assert body.keys() == {"model", "input", "instructions", "tools", "tool_choice", "reasoning"}


@pytest.mark.parametrize("replay", ["drop", "reasoning"])
async def test_the_messages_api_counts_what_the_profile_leaves(bench, replay):
    body = await sent(bench, "messages", reasoning_replay=replay)
    assert body["system"] == [{"type": "text", "text": "Be terse."}]
    thought = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    blocks = body["messages"][1]["content"]
    assert (blocks[0] == thought) == (replay != "drop")
    assert blocks[-1]["name"] == "fs.read"
    assert body.keys() == {"model", "messages", "system", "tools", "tool_choice"}
    request = bench.provider.requests[-1]
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert json.loads(request.raw)["tools"] == [TOOL]
