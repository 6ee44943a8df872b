"""Finish reasons and calls that stand elsewhere than the protocol has them."""

from __future__ import annotations

import pytest

from gateway.conversion.answers.chat_message import message
from gateway.conversion.ledger import Ledger
from tests.conversion.answers.test_odd_forms import OFFERED, READ, READ_TEXT, told
from tests.conversion.answers.test_stream_properties import accumulated
from tests.playbook import DONE, context_of, play, stream_of, text

REASONS = [
    ({"finishReason": "MAX_TOKENS"}, {}, {}),
    ({"stop_reason": "length"}, {}, {}),
    ({"finish_reason": None, "stop_reason": "max_tokens"}, {}, {}),
    ({}, {"finish_reason": "length"}, {}),
    ({}, {}, {"finish_reason": "length"}),
]
ENTRY = {"index": 0, "id": "c", "function": {"name": "Read", "arguments": READ_TEXT}}


@pytest.mark.parametrize(("choice", "said", "beside"), REASONS)
def test_a_limit_is_told_wherever_the_reason_stands(choice, said, beside):
    whole = {"choices": [{"index": 0, "message": {"content": "Hel", **said}, **choice}], **beside}
    assert message(whole, context_of(), Ledger())["stop_reason"] == "max_tokens"
    last = {"choices": [{"index": 0, "delta": said, **choice}], **beside}
    stream = stream_of()
    play(stream, text("Hel"), last, DONE)
    assert stream.stop_reason == "max_tokens"


def test_a_stop_sequence_that_was_met_is_no_reason():
    choice = {"index": 0, "delta": {}, "finish_reason": None, "stop_reason": "END OF LENGTHY TEXT"}
    stream = stream_of()
    play(stream, text("Hel"), {"choices": [choice]}, DONE)
    assert stream.stop_reason == "end_turn"


@pytest.mark.parametrize(
    "said",
    [
        {"message": {"content": "I look."}, "tool_calls": [ENTRY]},
        {"message": {"content": "I look."}, "function_call": ENTRY["function"]},
        {
            "message": {
                "content": [
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "c", "name": "Read", "input": READ[1]},
                ]
            }
        },
    ],
)
def test_a_call_beside_the_message_or_among_its_parts_is_a_call(said):
    choice = {"index": 0, "finish_reason": "tool_calls", **said}
    answer = message({"choices": [choice]}, context_of(**OFFERED), Ledger())
    assert told(answer["content"]) == ["I look.", READ]
    assert answer["stop_reason"] == "tool_use"
    delta = {"index": 0, "finish_reason": "tool_calls", **said, "delta": said["message"]}
    del delta["message"]
    events = play(stream_of(**OFFERED), {"choices": [delta]}, DONE)
    assert told(accumulated(events)["content"]) == ["I look.", READ]
