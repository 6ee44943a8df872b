"""Options that learn from a provider of the Responses API, on a real socket, streamed and not."""

import json

import pytest

from gateway.upstream.failover.learnt_options import Lessons
from tests.conftest import asking
from tests.dialects.conversation import gathered, whole
from tests.fakes import responses
from tests.fakes.provider import error
from tests.relay.test_option_learning import STREAMED, TOOL, StrictProvider, refuses, says, tries

SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}

# what is learnt -> (options before, more of the request, the judge)
KINDS = {
    ("efforts", ("low", "medium")): (
        {"reasoning": "effort"},
        {"output_config": {"effort": "high"}},
        says(
            '"effort": "high"',
            "Unsupported value: 'reasoning.effort' does not support 'high' with this model. "
            "Supported values are: 'low' and 'medium'.",
        ),
    ),
    ("sampling", "drop"): (
        {},
        {"temperature": 0.2},
        refuses("temperature", "Unsupported parameter: 'temperature' is not supported with this model."),
    ),
    ("parallel_tool_calls", "drop"): (
        {},
        {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        refuses("parallel_tool_calls", "Unknown parameter: 'parallel_tool_calls'."),
    ),
    ("json_schema", "object"): (
        {},
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        says('"json_schema"', "This response_format type is unavailable now"),
    ),
    ("max_output_tokens", 64): (
        {},
        {},
        lambda body: (
            error(400, "max_tokens is too large: 100. This model supports at most 64 completion tokens.")
            if body["max_output_tokens"] > 64
            else None
        ),
    ),
}


@pytest.fixture
async def strict(bench):
    """The bench with a provider of the Responses API that refuses; `taught`: what the records would hear."""
    provider = await StrictProvider().start()
    bench.strict, bench.taught = provider, []
    bench.base = bench.base.__class__(
        slug="fake", name="Fake", base_url=provider.base_url, protocol="responses",
        credentials=bench.base.credentials, max_retries=0,
    )  # fmt: skip
    bench.set(lessons=Lessons(bench.taught.append))
    yield bench
    await provider.stop()


def said(answer, streamed):
    seen = gathered(answer.events) if streamed else whole(answer.json)
    return "".join(block["text"] for block in seen.of("text"))


@STREAMED
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]} {kind[1]}")
async def test_one_more_attempt_answers_and_the_next_request_is_not_refused(strict, kind, streamed):
    options, more, strict.strict.judge = KINDS[kind]
    strict.strict.answers("m", responses.told() if streamed else responses.whole())
    strict.configure(provider={"options": options})
    request = {**asking(stream=streamed), **more}
    answer = await strict.client.messages(request)
    assert answer.status == 200, answer.text
    assert said(answer, streamed) == "Hello"
    assert tries(strict) == [(400, "learnt"), (200, "answered")]
    assert all(one.path.endswith("/responses") for one in strict.strict.requests)
    assert (await strict.client.messages(request)).status == 200
    assert tries(strict) == [(200, "answered")]
    [taught] = strict.taught
    new = list(kind[1]) if isinstance(kind[1], tuple) else kind[1]
    assert (taught.provider, taught.upstream_model, taught.option, taught.new) == ("fake", "m", kind[0], new)


@STREAMED
async def test_when_the_change_does_not_help_the_client_is_told_the_original_error(strict, streamed):
    strict.strict.judge = lambda body: error(400, "Unsupported parameter: 'temperature' is not supported.")
    strict.strict.answers("m", responses.whole())
    strict.configure()
    answer = await strict.client.messages({**asking(stream=streamed), "temperature": 0.2})
    assert answer.status == 400
    assert "temperature" in json.loads(answer.text)["error"]["message"]
    assert strict.taught == []
