"""A whole conversation through the gateway with a Responses server that refuses whatever OpenAI would."""

from __future__ import annotations

import base64
import json

import pytest

from tests.conftest import asking
from tests.conversion.converting import IMAGE
from tests.fakes.provider import CUT, Answer, chunk, completion, stream
from tests.fakes.strict_responses import StrictResponses, problems_of

WEATHER = {
    "name": "weather",
    "description": "Weather of a place",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
OPTIONS = {"reasoning": "effort", "system_role": "developer", "pdf": "file"}
CALLED = [chunk({}, "tool_calls"), b"data: [DONE]\n\n"]


def call(index, city, call_id):
    function = {"name": "weather", "arguments": json.dumps({"city": city})}
    return {"index": index, "id": call_id, "type": "function", "function": function}


def thought(text):
    return chunk({"reasoning_content": text})


@pytest.fixture
async def strict(bench):
    """The bench, with a strict Responses server between the gateway and the fake provider."""
    server = StrictResponses(bench.provider.base_url)
    bench.configure(provider={"protocol": "responses", "base_url": server.base_url, "options": OPTIONS})
    bench.strict = server
    yield bench
    server.stop()


async def turn(bench, messages, said, *, stream=True):
    """One request of a conversation; the answer's blocks are put behind it."""
    messages.append({"role": "user", "content": said})
    body = asking(stream=stream, tools=[WEATHER], thinking={"type": "adaptive"}, system="Be brief.")
    answer = await bench.client.messages({**body, "messages": messages})
    assert answer.status == 200, answer.text
    content = answer.json["content"] if not stream else collected(answer.events)
    messages.append({"role": "assistant", "content": content})
    return content


def collected(events):
    blocks, texts = [], {}
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append(dict(event["content_block"]))
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            key = next(name for name in ("text", "thinking", "signature", "partial_json") if name in delta)
            texts[event["index"], key] = texts.get((event["index"], key), "") + delta[key]
    for (index, key), text in texts.items():
        if key == "partial_json":
            blocks[index]["input"] = json.loads(text)
        else:
            blocks[index][key] = text
    assert events[-1]["type"] == "message_stop"
    return blocks


def results(content, *outputs):
    calls = [block["id"] for block in content if block["type"] == "tool_use"]
    return [
        {"type": "tool_result", "tool_use_id": call_id, "content": output}
        for call_id, output in zip(calls, outputs, strict=True)
    ]


async def test_five_turns_with_thinking_parallel_calls_and_an_image(strict):
    two_calls = [chunk({"tool_calls": [call(n, city, f"c{n}")]}) for n, city in enumerate(["Bern", "Rom"])]
    one_call = chunk({"tool_calls": [call(0, "Oslo", "c9")]})
    strict.provider.answers(
        "m",
        stream(thought("I look "), thought("twice."), "Looking.", *two_calls, tail=CALLED),
        stream(thought("Again."), one_call, tail=CALLED),
        stream(thought("Now I know."), "Warm."),
        completion("Whole.", reasoning_content="Short."),
        stream("Bye."),
    )
    messages = []
    first = await turn(strict, messages, "Weather?")
    assert [block["type"] for block in first] == ["thinking", "text", "tool_use", "tool_use"]
    assert first[0]["thinking"] == "I look twice."
    second = await turn(strict, messages, [*results(first, "warm", [IMAGE]), {"type": "text", "text": "so?"}])
    third = await turn(strict, messages, results(second, "cold"))
    assert [block.get("text") for block in third] == [None, "Warm."]
    fourth = await turn(strict, messages, "In one piece", stream=False)
    assert [block["type"] for block in fourth] == ["thinking", "text"]
    pdf = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF-1.4").decode()}
    await turn(strict, messages, [{"type": "document", "source": pdf}, {"type": "text", "text": "bye"}])
    assert strict.strict.found == []
    kinds = [item["type"] for item in strict.strict.requests[-1]["input"]]
    assert kinds.count("reasoning") == 4
    assert kinds.count("function_call") == kinds.count("function_call_output") == 3


async def test_reasoning_that_was_tampered_with_does_not_reach_the_provider(strict):
    strict.provider.answers("m", stream(thought("hm"), "A"), stream("B"))
    messages = []
    content = await turn(strict, messages, "one")
    content[0]["signature"] = content[0]["signature"][:-8] + "AAAAAAAA"
    await turn(strict, messages, "two")
    assert strict.strict.found == []
    assert [item["type"] for item in strict.strict.requests[-1]["input"]].count("reasoning") == 0


async def test_a_cut_and_an_error_in_mid_stream_arrive_as_errors(strict):
    failing = b'data: {"error": {"message": "boom", "type": "server_error"}}\n\n'
    for broken in (
        stream("Hello", CUT),
        Answer(headers=stream().headers, pieces=[chunk({"content": "Hi"}), failing]),
    ):
        strict.provider.answers("m", broken)
        answer = await strict.client.messages(asking(stream=True))
        assert answer.status >= 500 or answer.events[-1]["type"] == "error"


LEGAL = {
    "model": "m",
    "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
    "max_output_tokens": 16,
    "store": False,
}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "1"}
THOUGHT = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "forged.seal"}


@pytest.mark.parametrize(
    "change",
    [
        {"store": True},
        {"max_output_tokens": 15},
        {"max_tokens": 100},
        {"input": []},
        {"input": [*LEGAL["input"], CALL]},
        {"input": [*LEGAL["input"], OUTPUT]},
        {"input": [*LEGAL["input"], CALL, LEGAL["input"][0], OUTPUT]},
        {"input": [*LEGAL["input"], CALL, {**OUTPUT, "output": [{"type": "image_url"}]}]},
        {"input": [*LEGAL["input"], THOUGHT]},
        {"input": [*LEGAL["input"], THOUGHT, CALL, OUTPUT]},
        {"input": [{"role": "tool", "content": "x", "type": "message"}]},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"tool_choice": "auto"},
        {"reasoning": {"effort": "maximal"}},
        {"include": ["everything"]},
        {"instructions": ""},
    ],
)
def test_the_strict_server_refuses_what_it_should(change):
    assert problems_of(LEGAL) == []
    assert problems_of({**LEGAL, **change})
