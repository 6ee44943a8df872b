"""What Anthropic's SDK makes of each service's manner of telling an answer, streamed and whole."""

from __future__ import annotations

import json

import anthropic
import httpx2
import pytest

from gateway.config.presets.presets import preset
from gateway.conversion.profile import Profile
from tests.conftest import rule
from tests.dialects.runs import first_models
from tests.dialects.services import reached
from tests.fakes.provider import SSE, Answer
from tests.fakes.quirks import ANYWHERE, QUIRKS
from tests.tellings import CHAT_STREAM, WHOLE_WAYS, Truth, told, whole_told

TOOLS = [
    {"name": name, "description": name, "input_schema": {"type": "object", "properties": {}}}
    for name in ("Read", "Bash")
]
CALLS = (
    ("c0", "Read", {"n": 0, "path": "it's \u00e9 \U0001f600"}),
    ("c1", "Bash", {"n": 1, "command": 'echo "a\\n"\n', "all": True}),
    ("c2", "Read", {"n": 2, "path": "b", "lines": [1, None, {"x": 1.5}]}),
)
ANSWERS = {
    "text and calls": Truth((), ("0Let me ", "1look."), CALLS, cached=20),
    "calls alone": Truth((), (), CALLS[:1]),
    "text that ends at the limit": Truth((), ("0Let me ", "1look."), (), finish="length"),
    "text that a filter ends": Truth((), ("0Let me ", "1look."), (), finish="content_filter"),
    "thinking and a call": Truth(("0I have", "1 a plan."), ("0Yes.",), CALLS[:1]),
}
MODELS = first_models()


class InProcess(httpx2.AsyncBaseTransport):
    """The SDK's requests, put to the gateway of a test."""

    def __init__(self, client) -> None:
        self._client = client

    async def handle_async_request(self, request):
        body = await request.aread()
        answer = await self._client.request("POST", request.url.raw_path.decode(), body)
        return httpx2.Response(answer.status, headers=answer.headers, content=answer.text)


@pytest.fixture
def sdk(bench):
    http = httpx2.AsyncClient(transport=InProcess(bench.client))
    return anthropic.AsyncAnthropic(
        base_url="http://gateway", api_key="any", http_client=http, max_retries=0
    ).messages


async def asked(sdk, *, stream, thinking=False):
    request = {
        "model": "claude-x",
        "max_tokens": 2000,
        "messages": [{"role": "user", "content": "hi"}],
        "tools": TOOLS,
        **({"thinking": {"type": "enabled", "budget_tokens": 1024}} if thinking else {}),
    }
    if not stream:
        return await sdk.create(**request)
    async with sdk.stream(**request) as answer:
        return await answer.get_final_message()


def configure(bench, slug):
    model = MODELS[slug]
    bench.configure(
        provider=reached(slug, bench.provider.base_url.removesuffix("/v1"), "chat"),
        rules=[rule(upstream_model=model)],
    )
    return model


def shows_thinking(slug):
    return "reasoning_content" in Profile.merged(preset(slug).options).reasoning_in


def judge(message, truth, *, thinks):
    said = [block for block in message.content if block.type == "tool_use"]
    assert [(block.name, block.input) for block in said] == [(name, given) for _, name, given in truth.calls]
    assert len({block.id for block in said}) == len(said)
    assert "".join(block.text for block in message.content if block.type == "text") == "".join(truth.text)
    if thinks:
        thought = "".join(block.thinking for block in message.content if block.type == "thinking")
        assert thought == "".join(truth.thinking)
    assert message.stop_reason == truth.stop_reason
    assert message.model == "claude-x"
    counts = message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens
    assert counts == (truth.prompt - truth.cached, truth.cached, truth.completion)


def streamed(truth, quirks, *, done=True):
    chunks = [b"data: " + json.dumps(each).encode() + b"\n\n" for each in told(truth, quirks)]
    return Answer(headers=SSE, pieces=[*chunks, *([b"data: [DONE]\n\n"] if done else [])])


def whole(completion):
    return Answer(headers={"content-type": "application/json"}, body=json.dumps(completion).encode())


@pytest.mark.parametrize("slug", MODELS)
async def test_the_sdk_gets_the_same_message_in_each_service_s_manner(bench, sdk, slug):
    model = configure(bench, slug)
    for truth in ANSWERS.values():
        thinks = bool(truth.thinking) and shows_thinking(slug)
        if truth.thinking and not thinks:
            continue
        for quirks in (QUIRKS[slug], ANYWHERE):
            bench.provider.answers(model, streamed(truth, quirks))
            judge(await asked(sdk, stream=True, thinking=thinks), truth, thinks=thinks)
        bench.provider.answers(model, whole(whole_told(truth, {})))
        judge(await asked(sdk, stream=False, thinking=thinks), truth, thinks=thinks)


@pytest.mark.parametrize("quirk", CHAT_STREAM)
async def test_the_sdk_gets_the_same_message_with_each_quirk(bench, sdk, quirk):
    model = configure(bench, "generic")
    for truth in ANSWERS.values():
        thinks = bool(truth.thinking) and "|" not in quirk and "THINK" not in quirk and "parts" not in quirk
        if truth.thinking and not thinks:
            continue
        bench.provider.answers(model, streamed(truth, (quirk,), done=False))
        judge(await asked(sdk, stream=True, thinking=thinks), truth, thinks=thinks)


@pytest.mark.parametrize(
    ("about", "way"),
    [(about, way) for about, ways in WHOLE_WAYS.items() for way in ways if about != "thinking"],
)
async def test_the_sdk_gets_the_same_whole_message_in_each_way(bench, sdk, about, way):
    model = configure(bench, "generic")
    for truth in ANSWERS.values():
        if not truth.thinking:
            bench.provider.answers(model, whole(whole_told(truth, {about: way})))
            judge(await asked(sdk, stream=False), truth, thinks=False)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("quirks", sorted(set(QUIRKS.values())))
async def test_the_sdk_raises_for_an_answer_that_is_cut_in_any_manner(bench, sdk, quirks, cut):
    model = configure(bench, "generic")
    chunks = told(ANSWERS["text and calls"], [name for name in quirks if name != "a reason with each chunk"])
    # what comes behind the reason is no part of the answer
    chunks = chunks[: max(1, int(cut * (len(chunks) - 2)))]
    pieces = [b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks]
    bench.provider.answers(model, Answer(headers=SSE, pieces=pieces))
    with pytest.raises(anthropic.APIError):
        await asked(sdk, stream=True)
