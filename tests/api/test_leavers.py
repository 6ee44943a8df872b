"""A key that is refused from now on: what came with it ends with a sentence, wherever it is."""

import asyncio
import dataclasses
import time

import pytest

from gateway.relay.gate import Gate
from tests.conftest import asking, key_entry, snapshot_of
from tests.fakes.provider import Answer, stream

KEY = "ccp_hers"
SENTENCE = "the account of this client key's owner is not active; ask whoever runs the gateway"


@pytest.fixture(params=["by messages", "straight"])
def way(request, bench):
    bench.client.direct = request.param == "straight"


@pytest.fixture
async def hers(bench):
    """Requests come with KEY; `leave` is what the gateway does when its owner was deactivated."""
    bench.configure(keys=[key_entry(KEY)])
    bench.client.headers["x-api-key"] = KEY
    return bench


def leave(bench):
    gone = snapshot_of(providers=[bench.base], keys=[key_entry(KEY, owner_active=False)])
    bench.gateway.configuration.snapshot = gone
    bench.gateway.live.dismiss(gone, time.time())


async def test_a_stream_ends_with_a_sentence_and_the_provider_is_let_go(hers, way):
    hers.provider.answers("m", stream("first", asyncio.Event(), "second"))
    answering = hers.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    while b"first" not in answering.text:
        await answering.piece()
    leave(hers)
    await answering.rest()
    assert answering.events[-1]["error"] == {"type": "authentication_error", "message": SENTENCE}
    assert b"message_stop" not in answering.text
    last = hers.recorder.last
    assert (last.state, last.error_type, last.error_message) == (
        "interrupted",
        "authentication_error",
        SENTENCE,
    )
    assert len(hers.gateway.live) == 0


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_request_whose_provider_is_silent_is_refused(hers, streamed):
    hers.provider.answers("m", Answer(before_head=[asyncio.Event()]))
    answering = hers.client.open("POST", "/v1/messages", asking(stream=streamed))
    await hers.provider.arrived.wait()
    leave(hers)
    await answering.head()
    await answering.rest()
    assert (answering.status, answering.json["error"]["message"]) == (401, SENTENCE)
    assert answering.headers["x-should-retry"] == "false"


async def test_a_stream_that_has_only_begun_for_the_client_ends_too(hers):
    hers.set(commit_after=0.01)
    hers.provider.answers("m", Answer(before_head=[asyncio.Event()]))
    answering = hers.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    leave(hers)
    await answering.rest()
    assert answering.events[-1]["error"]["message"] == SENTENCE


async def test_a_request_that_waits_for_its_turn_is_refused_when_the_turn_comes(hers):
    go_on = asyncio.Event()
    hers.set(gate=Gate(1, patience=30))
    hers.configure(keys=[key_entry(KEY), key_entry("other", id=2)])
    hers.provider.answers("m", stream("first", go_on, "second"))
    first = hers.client.open("POST", "/v1/messages", asking(stream=True), {"x-api-key": "other"})
    await first.head()
    waiting = hers.client.open("POST", "/v1/messages", asking(stream=True))
    while not hers.gateway.gate.waiting:  # noqa: ASYNC110
        await asyncio.sleep(0)
    keys = [key_entry(KEY, owner_active=False), key_entry("other", id=2)]
    gone = snapshot_of(providers=[hers.base], keys=keys)
    hers.gateway.configuration.snapshot = gone
    hers.gateway.live.dismiss(gone, time.time())
    go_on.set()
    await first.rest()
    assert b"second" in first.text
    await waiting.head()
    await waiting.rest()
    assert (waiting.status, waiting.json["error"]["message"]) == (401, SENTENCE)
    assert len(hers.provider.requests) == 1


async def test_a_new_snapshot_that_changes_nothing_of_the_key_ends_nothing(hers):
    go_on = asyncio.Event()
    hers.provider.answers("m", stream("first", go_on, "second"))
    answering = hers.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    changed = dataclasses.replace(key_entry(KEY), name="renamed", allowed_models=("other",))
    hers.gateway.live.dismiss(snapshot_of(providers=[hers.base], keys=[changed]), time.time())
    go_on.set()
    await answering.rest()
    assert b"message_stop" in answering.text
