"""What is kept of a request while its answer streams, counted in objects of a running connection."""

import asyncio
import gc
import json

import pytest

from ccproxy_site.asgi import application
from gateway.api.request import GatewayRequest
from gateway.api.responses import StreamAnswer
from gateway.relay.attempt import Opened
from gateway.relay.tries import Tries
from gateway.upstream.request_builder import UpstreamCall
from tests.conftest import asking
from tests.fakes.provider import stream
from tests.server.test_api_connection import Listening

# sockets, whatever the database
pytestmark = pytest.mark.once


def request_of(body):
    raw = json.dumps(body).encode()
    head = b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: any\r\ncontent-length: %d\r\n\r\n"
    return head % len(raw) + raw


def is_scope(found):
    return type(found) is dict and found.get("type") == "http" and "raw_path" in found


@pytest.fixture
async def streaming(bench):
    """Where an answer streams whose first text has gone out, as long as the test runs."""
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("first", go_on, "second"))
    async with Listening(application) as listening:
        reader, writer = await listening.connect()
        writer.write(request_of(asking(stream=True)))
        await asyncio.wait_for(reader.readuntil(b"first"), 10)
        gc.collect()
        yield
        go_on.set()
        assert b"second" in await asyncio.wait_for(reader.readuntil(b"\r\n0\r\n\r\n"), 10)
        writer.close()


@pytest.mark.parametrize("kind", [GatewayRequest, StreamAnswer, Tries, Opened, UpstreamCall])
async def test_what_only_led_to_an_answer_is_let_go_when_it_streams(streaming, kind):
    assert [found for found in gc.get_objects() if isinstance(found, kind)] == []


async def test_the_scope_of_the_request_is_let_go(streaming):
    assert list(filter(is_scope, gc.get_objects())) == []
