"""The upstream says what the model's name asks for, to whoever asks over a real socket."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from bench import upstream
from bench.answers import LAST_WORDS, TOOL, answer_for
from bench.load import Job, measured


@pytest.fixture
async def port():
    server = await upstream.serve()
    yield server.sockets[0].getsockname()[1]
    server.close()


def chat(port, model, **fields):
    return Job(port=port, model=model, form="chat", path="/v1/chat/completions", timeout=20, **fields)


async def exchanged(port, *pieces: bytes) -> bytes:
    """Send the pieces one after the other; what comes back until the connection is quiet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)
    received = b""
    while True:
        try:
            data = await asyncio.wait_for(reader.read(65536), 0.2)
        except TimeoutError:
            break
        received += data
        if not data:
            break
    writer.close()
    return received


def request(model: str, **fields) -> bytes:
    return json.dumps({"model": model, "messages": [], **fields}).encode()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "model",
    [
        "ep-1-0ms-text",
        "ep-40-0ms-text",
        "ep-40-0ms-text-w7",
        "ep-5-1ms-text-s500",
        "ep-5-1ms-text",
        "ep-40-1ms-tool",
        "ep-40-0ms-tool",
        "ep-5-1ms-think",
    ],
)
async def test_every_kind_of_answer_is_right_on_one_connection_after_the_other(port, model, stream):
    result = await measured(chat(port, model, stream=stream, concurrency=3, count=9))
    assert (result["right"], result["wrong"], result["problems"]) == (9, 0, [])


async def test_the_clock_in_the_text_is_the_time_of_writing(port):
    before = time.monotonic_ns()
    result = await measured(chat(port, "ep-4-10ms-text-clock"))
    assert result["wrong"] == 0
    assert 0 < result["lag_ms"]["max"] < (time.monotonic_ns() - before) / 1e6


async def test_streams_with_long_gaps_tick_together(port):
    result = await measured(chat(port, "ep-3-100ms-text-clock", concurrency=5, count=5))
    assert result["wrong"] == 0


async def test_a_body_in_http_chunks_and_in_pieces(port):
    text = request("ep-2-0ms-text")
    head = b"POST /anything HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    half = len(text) // 2
    framed = [b"%x\r\n%s\r\n" % (len(part), part) for part in (text[:half], text[half:])]
    answer = await exchanged(port, head, framed[0][:5], framed[0][5:], framed[1] + b"0\r\n\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"]


async def test_a_client_that_waits_for_100_continue(port):
    text = request("ep-2-0ms-text")
    head = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(text)
    answer = await exchanged(port, head, text)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


async def test_a_model_with_a_provider_in_front_and_spaces_in_the_json(port):
    text = request("openai/ep-2-0ms-text", stream=True)
    head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(text)
    assert b"data: [DONE]" in await exchanged(port, head + text)


async def test_another_model_is_not_found(port):
    text = request("gpt-4o")
    head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(text)
    assert (await exchanged(port, head + text)).startswith(b"HTTP/1.1 404 ")


def test_pieces_make_the_whole():
    answer = answer_for("ep-300-5ms-tool")
    assert len(answer.pieces) == 300 and all(answer.pieces)
    assert set(json.loads(answer.whole)) == {"file_path", "content"}
    assert answer_for("ep-300-0ms-text").per_write == 300
    assert answer_for("ep-300-5ms-text").per_write == 1
    assert LAST_WORDS and TOOL


@pytest.mark.parametrize("name", ["gpt-4o", "ep-1", "ep-1-0ms-image", "ep-1-0ms-text-x", ""])
def test_names_that_are_not_ours(name):
    with pytest.raises(ValueError, match="not a benchmark model"):
        answer_for(name)
