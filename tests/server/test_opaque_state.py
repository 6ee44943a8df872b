"""Two gateway processes that share nothing: what one began, the other carries on."""

from __future__ import annotations

import asyncio
import json
import signal

import httpx
import pytest

from tests.fakes.provider import FakeProvider, completion
from tests.fakes.strict_responses import StrictResponses
from tests.server.conftest import KEY, environment, follows, manage

pytestmark = pytest.mark.server

TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SIGNED = {"google": {"thought_signature": "sig"}}
PROVIDERS = """
import json
from gateway.models import MappingTarget, ModelMapping, Provider
for name, base_url, options in json.loads(PLAN):
    provider = Provider(name=name, slug=name, base_url=base_url, options=options, auth="none")
    provider.save()
    mapping = ModelMapping(pattern=name)
    mapping.save()
    MappingTarget(mapping=mapping, provider=provider, upstream_model=name).save()
"""


@pytest.fixture
async def upstream():
    provider = await FakeProvider().start()
    server = StrictResponses(provider.base_url)
    yield provider, server
    server.stop()
    await provider.stop()


async def configured(gateway, plan):
    """Put the providers into the gateway's database and wait until it serves them."""
    code = f"PLAN = {json.dumps(json.dumps(plan))}\n{PROVIDERS}"
    manage("shell", "-v", "0", "-c", code, env=environment(gateway.data))
    await asyncio.to_thread(follows, gateway)


async def asked(gateway, body):
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.post(gateway.url + "/v1/messages", json=body, headers={"x-api-key": KEY})
    assert answer.status_code == 200, answer.text
    return answer.json()["content"]


@pytest.mark.once
async def test_a_conversation_goes_on_in_another_process_and_after_a_restart(serve, upstream):
    provider, responses = upstream
    plan = [
        ["reasoner", responses.base_url, {"protocol": "responses", "reasoning": "effort"}],
        ["signer", provider.base_url, {"tool_call_extras": {"extra_content": None}}],
    ]
    thought = {"reasoning_content": "plan", "tool_calls": [CALL]}
    provider.answers("reasoner", completion("", **thought), completion("Done"))
    signed = completion("", tool_calls=[{**CALL, "extra_content": SIGNED}])
    provider.answers("signer", signed, completion("Done"))
    first, second = (serve(ANTHROPIC_API_KEY=KEY), serve(ANTHROPIC_API_KEY=KEY))
    await configured(first, plan)
    await configured(second, plan)
    begun = {}
    for name in ("reasoner", "signer"):
        messages = [{"role": "user", "content": "go"}]
        body = {"model": name, "max_tokens": 100, "messages": messages, "tools": [TOOL]}
        begun[name] = {**body, "thinking": {"type": "adaptive"}}
        content = await asked(first, begun[name])
        call = next(block["id"] for block in content if block["type"] == "tool_use")
        result = {"type": "tool_result", "tool_use_id": call, "content": "1"}
        messages += [{"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    assert first.stop(signal.SIGTERM) == 0
    for name in ("reasoner", "signer"):
        assert await asked(second, begun[name]) == [{"type": "text", "text": "Done"}]
    assert responses.found == []
    assert [item["type"] for item in responses.requests[-1]["input"]] == [
        "message", "reasoning", "function_call", "function_call_output",
    ]  # fmt: skip
    sent = provider.requests[-1].body["messages"]
    assert (sent[1]["tool_calls"][0]["id"], sent[1]["tool_calls"][0]["extra_content"]) == ("call_1", SIGNED)
