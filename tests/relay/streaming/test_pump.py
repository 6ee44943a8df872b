"""A stream's ends in the moments between its phases."""

import asyncio

import pytest

from gateway.errors import Saturated
from gateway.relay.answer import answered
from gateway.relay.exchange.exchange import Arrival
from gateway.wire import jsontext
from tests.conftest import asking
from tests.fakes.provider import stream


@pytest.fixture
async def committed(bench):
    """A pump whose 200 is out, and whose provider began to answer while the client took nothing."""
    begin, never = asyncio.Event(), asyncio.Event()
    bench.set(commit_after=0.0)
    bench.provider.answers("m", stream(begin, "hello", never))
    body = jsontext.dumps(asking(stream=True))
    reply = await answered(Arrival("req_1", "messages", {}, body, "127.0.0.1"), bench.gateway)
    await anext(reply.pump)
    begin.set()
    await asyncio.wait_for(asyncio.wait({reply.pump._opening}), 10)
    return reply.pump


@pytest.mark.parametrize("end", ["aclose", "close", "interrupt"])
async def test_a_provider_that_just_began_is_let_go_when_the_stream_ends(bench, committed, end):
    if end == "interrupt":
        committed.interrupt(Saturated("the gateway is stopping"))
        pieces = [piece async for piece in committed]
        assert b"the gateway is stopping" in b"".join(pieces)
    elif end == "close":
        committed.close()
        await asyncio.sleep(0)
    else:
        await committed.aclose()
    await asyncio.sleep(0)
    assert len(bench.gateway.client._lean._pool) == 0


async def test_a_silent_provider_is_noticed_after_a_client_that_took_nothing_for_a_while(bench):
    more, never = asyncio.Event(), asyncio.Event()
    bench.set(ping_interval=0.02)
    bench.provider.answers("m", stream("first", more, "second", never))
    body = jsontext.dumps(asking(stream=True))
    reply = await answered(Arrival("req_1", "messages", {}, body, "127.0.0.1"), bench.gateway)
    assert b"first" in await anext(reply.pump)
    # the moment for a sign of life passes, and what comes then is taken instead
    while not reply.pump._inbox._ticked:  # noqa: ASYNC110 (nobody is told)
        await asyncio.sleep(0.001)
    more.set()
    while not reply.pump._inbox._pieces:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert b"second" in await anext(reply.pump)
    assert b"ping" in await asyncio.wait_for(anext(reply.pump), 10)
    await reply.pump.aclose()
