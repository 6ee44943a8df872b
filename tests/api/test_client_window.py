"""Reported input counts are scaled for the client; the history keeps the real ones."""

import pytest

from tests.conftest import asking, rule
from tests.fakes.provider import USAGE, completion, stream

WINDOWS = {"context_window": 100_000, "client_window": 250_000}
REAL, TOLD = USAGE["prompt_tokens"], USAGE["prompt_tokens"] * 2.5


def inputs(usage):
    return sum(usage[name] for name in usage if name.endswith("input_tokens"))


@pytest.fixture
async def scaling(bench):
    bench.configure(rules=[rule(options=WINDOWS)])
    return bench


def real(bench):
    last = bench.recorder.last
    return last.input_tokens + (last.cache_read_tokens or 0) + (last.cache_write_tokens or 0)


async def test_a_whole_answer(scaling):
    scaling.provider.answers("m", completion())
    answer = await scaling.client.messages(asking())
    assert inputs(answer.json["usage"]) == TOLD
    assert real(scaling) == REAL
    assert scaling.recorder.last.output_tokens == answer.json["usage"]["output_tokens"]


async def test_a_stream(scaling):
    scaling.provider.answers("m", stream("Hello"))
    answer = await scaling.client.messages(asking(stream=True))
    assert inputs(answer.events[-2]["usage"]) == TOLD
    assert real(scaling) == REAL


async def test_a_stream_whose_provider_does_not_stream(scaling):
    scaling.provider.answers("m", completion())
    answer = await scaling.client.messages(asking(stream=True))
    assert inputs(answer.events[0]["message"]["usage"]) == TOLD
    assert inputs(answer.events[-2]["usage"]) == TOLD
    assert real(scaling) == REAL


async def test_count_tokens_too(scaling):
    body = asking("word " * 400)
    del body["max_tokens"]
    answer = await scaling.client.post("/v1/messages/count_tokens", body)
    assert answer.json["input_tokens"] == pytest.approx(2.5 * scaling.recorder.last.input_tokens, abs=1)


async def test_without_the_option_nothing_is_scaled(bench):
    bench.configure(rules=[rule(options={"context_window": 100_000})])
    bench.provider.answers("m", completion())
    assert inputs((await bench.client.messages(asking())).json["usage"]) == REAL
