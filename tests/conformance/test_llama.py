"""One real llama.cpp server, asked in each of its three protocols through a real gateway process.

    LLAMA_SERVER=http://127.0.0.1:8080 pytest tests/conformance -m llama

The server needs --jinja for the tool call. Its model may be the smallest there is: what it
says is never looked at, only what kind of answer comes of it.
"""

from __future__ import annotations

import os

import anthropic
import httpx
import pytest

from bench.prompt_caching.llama import PROTOCOLS, served_by
from tests.server.conftest import KEY

SERVER = os.environ.get("LLAMA_SERVER", "").rstrip("/").removesuffix("/v1")

pytestmark = [
    pytest.mark.llama,
    pytest.mark.skipif(
        not SERVER, reason="NOT TESTED: set LLAMA_SERVER to the address of a running llama.cpp server"
    ),
]

WEATHER = {
    "name": "weather",
    "description": "Weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 8}},
        "required": ["city"],
    },
}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """The SDK, in front of a gateway that knows the server three times."""
    gateway = served_by(SERVER, tmp_path_factory.mktemp("llama"))
    yield anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0, timeout=120)
    assert gateway.stop() == 0


def answered(sdk, protocol, *, streamed, text="Say hello.", **fields):
    """(message, kinds of events) for one question."""
    body = {"model": protocol, "max_tokens": 24, "messages": [{"role": "user", "content": text}], **fields}
    if not streamed:
        return sdk.messages.create(**body), []
    with sdk.messages.stream(**body) as stream:
        kinds = [event.type for event in stream]
        return stream.get_final_message(), kinds


def whole_input(message):
    usage = message.usage
    return (
        usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    )


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_question_is_answered_in_text(client, protocol, streamed):
    message, kinds = answered(client, protocol, streamed=streamed)
    assert (message.type, message.role, message.model) == ("message", "assistant", protocol)
    assert {block.type for block in message.content} <= {"text"}
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert whole_input(message) > 5
    assert 0 < message.usage.output_tokens <= 24
    if streamed:
        assert kinds[0] == "message_start" and kinds[-1] == "message_stop"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_forced_tool_is_called_with_an_input_that_fits(client, protocol, streamed):
    message, _ = answered(
        client,
        protocol,
        streamed=streamed,
        text="What is the weather in Bern? use the tool",
        tools=[WEATHER],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        max_tokens=200,
    )
    assert message.stop_reason == "tool_use"
    (call,) = [block for block in message.content if block.type == "tool_use"]
    assert call.name == "weather" and call.id
    assert list(call.input) == ["city"] and isinstance(call.input["city"], str)


def test_each_protocol_counts_the_same_prompt_alike(client):
    told = {p: whole_input(answered(client, p, streamed=s)[0]) for p in PROTOCOLS for s in (False, True)}
    assert len(set(told.values())) == 1, told


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_prompt_over_the_window_is_what_makes_claude_code_compact(client, protocol, streamed):
    window = httpx.get(f"{SERVER}/props", timeout=10).json()["default_generation_settings"]["n_ctx"]
    with pytest.raises(anthropic.BadRequestError) as caught:
        answered(client, protocol, streamed=streamed, text="word " * (window + 1000))
    message = caught.value.body["error"]["message"]
    assert message.startswith("prompt is too long: ")
    assert message.endswith(f" tokens > {window} maximum")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_conversation_with_a_result_goes_on(client, protocol):
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"}
    turns = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result, {"type": "text", "text": "Thanks."}]},
    ]
    message = client.messages.create(model=protocol, max_tokens=16, messages=turns)
    assert message.usage.output_tokens > 0


def test_the_servers_own_counter_is_asked_where_it_speaks_the_messages_api(client):
    messages = [{"role": "user", "content": "Say hello to everybody."}]
    counted = client.messages.count_tokens(model="anthropic", messages=messages)
    message = client.messages.create(model="anthropic", max_tokens=1, messages=messages)
    assert counted.input_tokens == whole_input(message)
