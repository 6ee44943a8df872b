"""An answer is read by its bytes: events, JSON, JSON lines and lists, whatever it is called."""

import json

import pytest

from gateway.conversion.answers.chat_stream import MessageStream
from gateway.conversion.ledger import Ledger
from gateway.relay.attempt import as_events, starts_as_json
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


def test_an_error_in_a_list_inside_a_stream_is_the_providers_error():
    stream = MessageStream(context_of(), Ledger())
    stream.feed(b"data: " + json.dumps(CHUNKS[0]).encode() + b"\n\n")
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    stream.feed(b"data: " + json.dumps([error]).encode() + b"\n\n")
    assert (stream.failure.status, stream.failure.message) == (529, "The model is overloaded.")
