"""An answer is read by its bytes: events, JSON, JSON lines and lists, whatever it is called."""

import json

import pytest

from gateway.conversion.answers.chat_stream import MessageStream
from gateway.conversion.ledger import Ledger
from gateway.wire.answer_forms import as_events, starts_as_json, without_comments
from tests.conftest import asking
from tests.fakes.provider import Answer
from tests.playbook import context_of

CHUNKS = [
    {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]},
]
SSE = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in CHUNKS)


def text_of(events):
    stream = MessageStream(context_of(), Ledger())
    stream.feed(events)
    stream.finish()
    assert stream.failure is None
    return stream.text_length


@pytest.mark.parametrize(
    "body",
    [
        SSE,
        b"\xef\xbb\xbf" + SSE,
        b": comment\n\n" + SSE,
        "\n".join(map(json.dumps, CHUNKS)).encode(),
        "\r\n\r\n".join(map(json.dumps, CHUNKS)).encode(),
        json.dumps(CHUNKS).encode(),
        json.dumps(CHUNKS, indent=2).encode(),
        SSE.replace(b"data: ", b"data: data: "),
        json.dumps(CHUNKS[0]).encode() + b"\n" + SSE.partition(b"\n\n")[2] + b"data: [DONE]\n\n",
        json.dumps(CHUNKS[0], indent=2).encode() + b"\n\n" + SSE.partition(b"\n\n")[2],
    ],
)
def test_chunks_in_any_framing_are_one_answer(body):
    assert text_of(as_events(body)) == 5


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[{}]", b'{\n "a": 1\n}', b"{broken", b"[1, 2", b"hi"]
)
def test_what_is_one_json_text_or_nothing_is_no_stream(body):
    assert as_events(body) is None


@pytest.mark.parametrize(
    ("piece", "json_text"), [(b' {"a"', True), (b"\n[", True), (b"data: {", False), (b"", False)]
)
def test_json_is_told_from_events_by_its_first_sign(piece, json_text):
    assert starts_as_json(piece) is json_text


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (b": processing\n\n: processing\r\n\r\n{}", b"{}"),
        (b"\n\n[1]", b"[1]"),
        (b": a\n\ndata: {}\n\n", b": a\n\ndata: {}\n\n"),
        (b": a", b": a"),
        (b"", b""),
        (b"\r", b"\r"),
        (b"{}", b"{}"),
    ],
)
def test_comments_before_a_json_text_are_left_out(body, left):
    assert without_comments(body) == left


def test_frames_within_frames_take_no_more_time_than_their_length():
    stream = MessageStream(context_of(), Ledger())
    stream.feed(b"data: " * 100_000 + b"{}\n\n")
    assert stream.failure is None


@pytest.mark.parametrize("piece", [b"\xef\xbb\xbf", b": wait\n\n", b""])
@pytest.mark.parametrize("streamed", [True, False])
async def test_what_can_be_read_is_read_whatever_the_page_is_called(bench, piece, streamed):
    for kind in ("text/html", "application/json", "text/event-stream", "application/octet-stream", ""):
        bench.provider.answers("m", Answer(200, {"content-type": kind}, pieces=[piece + SSE]))
        answer = await bench.client.post("/v1/messages", asking(stream=streamed))
        assert answer.status == 200 and b"lo" in answer.text and b"error" not in answer.text, kind


def test_an_error_in_a_list_inside_a_stream_is_the_providers_error():
    stream = MessageStream(context_of(), Ledger())
    stream.feed(b"data: " + json.dumps(CHUNKS[0]).encode() + b"\n\n")
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    stream.feed(b"data: " + json.dumps([error]).encode() + b"\n\n")
    assert (stream.failure.status, stream.failure.message) == (529, "The model is overloaded.")
