"""Answers read back."""

import pytest

from gateway.wire import messages, sse
from gateway.wire.message_reader import read_answer
from gateway.wire.stored_stream import events

START = messages.message_start(
    {"id": "msg_1", "role": "assistant", "content": [], "usage": {"input_tokens": 3}}
)
TEXT = [
    messages.block_start(0, {"type": "text", "text": ""}),
    messages.text_delta(0, "Hel"),
    messages.text_delta(0, "lo"),
    messages.block_stop(0),
]
CALL = [
    messages.block_start(1, {"type": "tool_use", "id": "t", "name": "Bash", "input": {}}),
    messages.input_json_delta(1, '{"command"'),
    messages.input_json_delta(1, ':"ls"}'),
]
END = [messages.message_delta({"stop_reason": "tool_use"}, {"output_tokens": 9}), messages.MESSAGE_STOP]


def read(*events):
    return read_answer(sse.encode_all(events))


def test_a_stream_is_read_as_the_message_it_was():
    message = read(START, messages.PING, *TEXT, *CALL, *END).message
    assert message["content"] == [
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "ls"}},
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"] == {"input_tokens": 3, "output_tokens": 9}


def test_a_stream_that_broke_off_gives_what_there_was_and_its_error():
    error = {"type": "error", "error": {"type": "api_error", "message": "gone"}}
    answer = read(START, *TEXT, *CALL[:2], messages.error_event(error))
    assert answer.error == {"type": "api_error", "message": "gone"}
    assert answer.message["content"][1]["input"] == '{"command"'


def test_whole_answers_and_errors_are_read():
    assert read_answer(b'{"type":"message","content":[]}').message == {"type": "message", "content": []}
    assert read_answer(b'{"type":"error","error":{"type":"x"}}').error == {"type": "x"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"nonsense",
        b"data: 1\n\n",
        b"data: {bad\n\n",
        b'{"content":7}',
        b'data: {"type":"content_block_delta","index":[]}\n\n',
    ],
)
def test_what_is_no_answer_is_none(body):
    assert read_answer(body) == (None, None)


@pytest.mark.parametrize(
    "stream",
    [
        sse.encode_all([START, messages.PING, *TEXT, *CALL, *END]),
        sse.encode_all([START, *TEXT])[:-1],
        sse.encode_all([START, *TEXT])[:-9],
        sse.encode_all([START, *TEXT]).replace(b"\n", b"\r\n"),
        sse.encode_all([START]) + b": a comment\n\n" + sse.encode_all(TEXT),
        sse.encode_all([START]) + b"data: 7\n\nevent: x\ndata: {bad\n\n" + sse.encode_all(TEXT),
        sse.encode_all([START]) + b"event: x\ndata: {bad\n\n" + sse.encode_all(TEXT),
    ],
)
def test_what_we_wrote_is_read_at_once_and_the_same_as_event_by_event(stream):
    one_by_one = [event for piece in stream.splitlines(keepends=True) for event in events(b": \n" + piece)]
    assert events(stream) == one_by_one
