"""What a provider wants back travels with the client: another process of the gateway carries it on."""

from __future__ import annotations

import pytest

from gateway.relay.gateway import Gateway
from gateway.upstream.client import UpstreamClient
from tests.conftest import asking, rule
from tests.conversion.openai_responses.scripts import function_call, reasoning
from tests.fakes import responses
from tests.fakes.provider import chunk, completion, stream

TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
DETAILS = [{"type": "reasoning.encrypted", "data": "abc", "index": 0}]
SIGNED = {"google": {"thought_signature": "sig"}}
STAND_IN = {"google": {"thought_signature": "skip_thought_signature_validator"}}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def details_back(body):
    return body["messages"][1].get("reasoning_details")


def signature_back(body):
    return body["messages"][1]["tool_calls"][0].get("extra_content")


def encrypted_back(body):
    items = [item for item in body["input"] if item["type"] == "reasoning"]
    return items[0]["encrypted_content"] if items else None


# the provider's options; its first answer and another one; what comes back, and what when it may not
KINDS = {
    "encrypted reasoning": (
        {"protocol": "responses"},
        {"reasoning": "effort"},
        responses.told(reasoning("plan"), function_call("call_1", "f")),
        responses.whole(),
        (encrypted_back, "ENC", None),
    ),
    "reasoning details": (
        {},
        {"reasoning": "openrouter", "reasoning_replay": "reasoning_details"},
        stream(chunk({"reasoning_details": DETAILS}), chunk({"tool_calls": [CALL]})),
        completion(),
        (details_back, DETAILS, None),
    ),
    "thought signatures": (
        {},
        {"tool_call_extras": {"extra_content": STAND_IN}},
        stream(chunk({"tool_calls": [{**CALL, "extra_content": SIGNED}]})),
        completion(),
        (signature_back, SIGNED, STAND_IN),
    ),
}


@pytest.fixture(params=KINDS)
async def begun(bench, request):
    """A conversation whose first turn one gateway has answered, and the provider's kind of data."""
    provider, options, first, then, back = KINDS[request.param]
    rules = [rule("m", upstream_model="m"), rule("other", upstream_model="other", id=2)]
    bench.configure(provider={**provider, "options": options}, rules=rules)
    bench.provider.answers("m", first, then)
    bench.provider.answers("other", then)
    asked = asking(stream=True, tools=[TOOL], thinking={"type": "adaptive"})
    answer = await bench.client.messages(asked)
    assert answer.status == 200, answer.text
    return bench, asked, content_of(answer.events), back


def content_of(events):
    """The blocks as a client keeps them."""
    blocks = [dict(event["content_block"]) for event in events if event["type"] == "content_block_start"]
    for event in events:
        if event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            if delta["type"] in ("thinking_delta", "signature_delta"):
                block |= {delta["type"].removesuffix("_delta"): delta[delta["type"].removesuffix("_delta")]}
    return blocks


async def second_turn(bench, asked, content, model="m"):
    """The next request of the conversation; gives what the provider was sent."""
    call = next(block for block in content if block["type"] == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "1"}
    more = [{"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    body = {**asked, "model": model, "stream": False, "messages": asked["messages"] + more}
    answer = await bench.client.messages(body)
    assert answer.status == 200, answer.text
    return bench.provider.requests[-1].body


def damaged(content):
    """The content with its opaque data changed on the way."""
    tampered = []
    for block in content:
        block = dict(block)
        if "signature" in block:
            block["signature"] = block["signature"][:-6] + "AAAAAA"
        if "_gw1_" in block.get("id", ""):
            block["id"] = block["id"][:-6] + "AAAAAA"
        tampered.append(block)
    return tampered


def lost(bench):
    """The ledger's entries about the provider's own data."""
    notes = [entry["note"] for entry in bench.recorder.last.ledger if entry["code"] == "dropped"]
    return [note for note in notes if "opaque" in note or "reasoning of" in note or "signature" in note]


async def test_another_gateway_carries_on_what_one_began(begun):
    bench, asked, content, (back, expected, _) = begun
    first, client = bench.gateway, UpstreamClient()
    bench.gateway = Gateway(configuration=first.configuration, client=client, recorder=bench.recorder)
    bench.set()
    try:
        assert back(await second_turn(bench, asked, content)) == expected
    finally:
        await client.close()
    assert lost(bench) == []


@pytest.mark.parametrize("change", ["model", "payload"])
async def test_a_changed_model_or_payload_is_dropped_and_noted_and_no_failure(begun, change):
    bench, asked, content, (back, _, instead) = begun
    if change == "payload":
        sent = await second_turn(bench, asked, damaged(content))
    else:
        sent = await second_turn(bench, asked, content, model="other")
    assert back(sent) == instead
    assert len(lost(bench)) == 1
