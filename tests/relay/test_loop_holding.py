"""No request holds the event loop: whatever it is made of, each step on it takes a moment."""

import asyncio
import gc
import json
import time
from functools import cache

import orjson
import pytest

from tests.conftest import asking
from tests.fakes.provider import Request, completion

# CPU seconds, on a machine at rest that parses `members` in AT_REST: twice the 100 ms that are promised,
# because other processes slow a step down that ended before the machine's speed was looked at
LONGEST = 0.2
AT_REST = 0.07


def many_messages(number, content="x"):
    roles = ("user", "assistant")
    return asking(messages=[{"role": roles[n % 2], "content": content} for n in range(number)])


def many_blocks(number):
    return asking(messages=[{"role": "user", "content": [{"type": "text", "text": "x"}] * number}])


def many_calls(number, of="t{}"):
    ids = [of.format(n) for n in range(number)]
    used = [{"type": "tool_use", "id": one, "name": "a", "input": {}} for one in ids]
    told = [{"type": "tool_result", "tool_use_id": one, "content": "x"} for one in ids]
    messages = [("user", "x"), ("assistant", used), ("user", told)]
    return asking(messages=[{"role": role, "content": content} for role, content in messages])


def many_tools(number, **schema):
    schema = {"type": "object", "properties": {}, **schema}
    return asking(tools=[{"name": f"t{n}", "input_schema": schema} for n in range(number)])


REQUESTS = {
    "8,001 messages": lambda: many_messages(8_001),
    "40,001 messages": lambda: many_messages(40_001),
    "messages of blocks": lambda: many_messages(10_001, [{"type": "text", "text": "x"}]),
    "7,000 of one role": lambda: asking(messages=[{"role": "user", "content": "x"}] * 7_000),
    "8,000 blocks": lambda: many_blocks(8_000),
    "20,000 blocks": lambda: many_blocks(20_000),
    "system blocks": lambda: asking(system=[{"type": "text", "text": "x"}] * 8_000),
    "calls of tools": lambda: many_calls(1_800),
    "calls of one id": lambda: many_calls(1_800, "t"),
    "calls of one id upstream": lambda: many_calls(1_800, "t_gw1_{}"),
    "3,900 tools": lambda: many_tools(3_900),
    "10,000 tools": lambda: many_tools(10_000),
    "a wide schema": lambda: many_tools(1, properties={f"p{n}": {"type": "string"} for n in range(60_000)}),
    "references": lambda: many_tools(1, **{"$defs": {"d": {}}}, allOf=[{"$ref": "#/$defs/d"}] * 8_000),
    "numbers": lambda: asking(junk=[100000] * 400_000),
    "members": lambda: asking(metadata={f"m{n}": "x" for n in range(109_000)}),
    "short members": lambda: asking(metadata={f"{n:x}": 1 for n in range(100_000)}),
    "stop sequences": lambda: asking(stop_sequences=[f"s{n}" for n in range(20_000)]),
    "a long text": lambda: asking("word " * 700_000),
}


@cache
def members():
    return json.dumps({f"m{n}": "x" for n in range(100_000)}).encode()


def slowed_down():
    """How much longer everything takes now than on that machine: it is slower, or others use its caches."""
    parsed = members()
    began = time.thread_time()
    orjson.loads(parsed)
    return max(1.0, (time.thread_time() - began) / AT_REST)


@pytest.fixture
def steps(monkeypatch):
    """CPU seconds of each step of the event loop."""
    taken = []
    run = asyncio.Handle._run

    def measured(handle):
        began = time.thread_time()
        run(handle)
        taken.append((time.thread_time() - began, handle))

    monkeypatch.setattr(asyncio.Handle, "_run", measured)
    # as the server does: what the other tests hold need not be looked through
    gc.collect()
    gc.freeze()
    return taken


@pytest.mark.parametrize("request_made", REQUESTS.values(), ids=REQUESTS.keys())
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_each_step_takes_a_moment(bench, steps, monkeypatch, path, request_made):
    # the fake provider shares the loop, and need not parse
    monkeypatch.setattr(Request, "body", {"model": "m"})
    bench.provider.answers("m", completion())
    body = json.dumps(request_made(), separators=(",", ":")).encode()
    # what the test does itself is no step of the gateway's
    await asyncio.sleep(0)
    steps.clear()
    for _ in range(2):
        assert (await bench.client.post(path, body=body)).status == 200
    longest, what = max(steps, key=lambda step: step[0])
    assert longest < LONGEST * slowed_down(), what
