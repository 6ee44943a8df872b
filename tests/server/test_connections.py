"""Connections as Daphne and our transport hold them: leaving clients, slow readers, keep-alive, one write."""

import asyncio
import contextlib
import json

import pytest

from tests.conftest import asking
from tests.fakes.provider import SSE, TRAILER, Answer, FakeProvider, chunk, completion, stream

# once: sockets and pipes, whatever the database
pytestmark = [pytest.mark.server, pytest.mark.once]


@pytest.fixture
async def provider():
    fake = await FakeProvider().start()
    yield fake
    await fake.stop()


@pytest.fixture
def served(serve, provider):
    return serve(OPENAI_API_KEY="sk-up", OPENAI_BASE_URL=provider.base_url, BIG_MODEL="m")


def http(body, *, path="/v1/messages"):
    raw = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    head = "\r\n".join([*lines, f"content-length: {len(raw)}", "", ""])
    return head.encode() + raw


async def connect(served):
    return await asyncio.open_connection("127.0.0.1", served.port, limit=2**20)


async def until(reader, text):
    seen = b""
    while text not in seen:
        piece = await asyncio.wait_for(reader.read(65536), 10)
        assert piece, f"the connection closed after {seen!r}"
        seen += piece
    return seen


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_client_that_leaves_before_the_answer_closes_the_provider(served, provider, streamed):
    provider.answers("m", Answer(before_head=[30]))
    _, writer = await connect(served)
    writer.write(http(asking(stream=streamed)))
    await asyncio.wait_for(provider.arrived.wait(), 5)
    writer.close()
    await asyncio.wait_for(provider.closed_by_client.wait(), 1)
    assert served.stop() == 0
    assert served.rows()[0]["state"] == "cancelled"


async def test_a_client_that_leaves_in_mid_stream_closes_the_provider(served, provider):
    provider.answers("m", stream("first", 30))
    reader, writer = await connect(served)
    writer.write(http(asking(stream=True)))
    await until(reader, b"first")
    writer.transport.abort()
    await asyncio.wait_for(provider.closed_by_client.wait(), 1)
    assert served.stop() == 0
    row = served.rows()[0]
    assert (row["state"], row["usage_estimated"]) == ("cancelled", 1)


async def test_several_requests_follow_each_other_on_one_connection(served, provider):
    provider.answers("m", stream("Hello"))
    reader, writer = await connect(served)
    for _ in range(3):
        writer.write(http(asking(stream=True)))
        await until(reader, b"\r\n0\r\n\r\n")
    writer.close()


async def test_two_requests_sent_at_once_are_answered_in_their_order(served, provider):
    provider.answers("m", completion("first"), completion("second"))
    reader, writer = await connect(served)
    writer.write(http(asking()) + http(asking()))
    seen = await until(reader, b"second")
    assert seen.index(b"first") < seen.index(b"second")
    writer.close()


async def test_a_client_that_does_not_read_holds_the_provider_back(served, provider):
    text = "x" * 1000
    sent = 0

    class Counting(list):
        def __iter__(self):
            nonlocal sent
            for piece in super().__iter__():
                sent += 1
                yield piece

    pieces = Counting([chunk({"content": text})] * 30_000 + TRAILER)
    provider.answers("m", Answer(headers=SSE, pieces=pieces))
    reader, writer = await connect(served)
    writer.transport.pause_reading()
    writer.write(http(asking(stream=True)))
    before = -1
    while sent != before:
        before = sent
        await asyncio.sleep(0.3)
    # kernel buffers on two connections take some MB; the other twenty stay with the provider
    assert 0 < sent < 15_000
    writer.transport.resume_reading()
    seen = b""
    while b"message_stop" not in seen[-200:]:
        piece = await asyncio.wait_for(reader.read(2**20), 10)
        assert piece
        seen = seen[-200:] + piece
    assert sent == 30_000 + len(TRAILER)
    with contextlib.suppress(ConnectionError):
        writer.close()


async def test_a_whole_answer_is_one_write(served, provider):
    provider.answers("m", completion("Hello"))
    reader, writer = await connect(served)
    writer.write(http(asking()))
    first = await asyncio.wait_for(reader.read(65536), 5)
    assert first.startswith(b"HTTP/1.1 200")
    assert json.loads(first.split(b"\r\n\r\n", 1)[1])["content"][0]["text"] == "Hello"
    writer.close()


async def test_the_end_of_a_stream_comes_with_its_last_event(served, provider):
    go_on = asyncio.Event()
    provider.answers("m", stream("Hello", go_on))
    reader, writer = await connect(served)
    writer.write(http(asking(stream=True)))
    await until(reader, b"Hello")
    go_on.set()
    last = await asyncio.wait_for(reader.read(65536), 5)
    while b"message_stop" not in last:
        last = await asyncio.wait_for(reader.read(65536), 5)
    assert last.endswith(b"0\r\n\r\n")
    writer.close()
