"""Calls in the words of a model: an answer that ends in one never looks like a whole turn."""

from __future__ import annotations

import time

import pytest

from gateway.conversion.answers.chat_message import message
from gateway.conversion.answers.written_calls import is_written
from gateway.conversion.ledger import Ledger
from gateway.errors import UpstreamBroken
from tests.conversion.answers.test_odd_forms import OFFERED
from tests.playbook import DONE, chunk, context_of, finish, play, stream_of, text, thought

WRITTEN = [
    '<|tool_calls_section_begin|><|tool_call_begin|>functions.Read:0<|tool_call_argument_begin|>{"a":"x"}'
    "<|tool_call_end|><|tool_calls_section_end|>",
    '<\uff5cDSML\uff5cfunction_calls>\n<\uff5cDSML\uff5cinvoke name="Read">\n'
    "</\uff5cDSML\uff5cinvoke>\n</\uff5cDSML\uff5cfunction_calls>",
    '<tool_call>\n{"name": "Read", "arguments": {"a": "x"}}\n</tool_call>',
    "<tool_call>\n<function=Read>\n<parameter=a>\nx\n</parameter>\n</function>\n</tool_call>",
    '[TOOL_CALLS][{"name": "Read", "arguments": {"a": "x"}}]',
    '<|channel|>commentary to=functions.Read <|constrain|>json<|message|>{"a": "x"}<|call|>',
    '<|tool_call>call:Read{a:<|"|>x<|"|>}<tool_call|>',
    '<|tool_call_start|>[Read(a="x")]<|tool_call_end|>',
    '<|START_ACTION|>[{"tool_name": "Read", "parameters": {"a": "x"}}]<|END_ACTION|>',
    '<invoke name="Read">\n<parameter name="a">x</parameter>\n</invoke>',
    '<TOOLCALL>[{"name": "Read", "arguments": {"a": "x"}}]</TOOLCALL>',
]
QUOTED = [
    "Qwen writes `<tool_call>` and the name, such as Read, behind it: {}",
    'Like this:\n```\n<tool_call>\n{"name": "Read"}\n</tool_call>\n```',
    '<tool_call>\n{"name": "Other"}\n</tool_call>',
    '<tool_call>\n{"name": "Read"}\n</tool_call>\nThis is how a call looks.',
    "Kimi writes `<|tool_call_begin|>functions.Read:0` and so on: {}",
    '{"name": "Read", "arguments": {}, "comment": "as an example"}',
    '{"name": "Other", "arguments": {}}',
    '{"name": ["Read"], "arguments": {}}',
]


@pytest.mark.parametrize("reason", ["stop", "tool_calls"])
@pytest.mark.parametrize("said", WRITTEN)
@pytest.mark.parametrize("place", [text, thought])
def test_a_call_that_the_model_wrote_is_an_error(said, reason, place):
    ledger = Ledger()
    stream = stream_of(ledger=ledger, **OFFERED, thinking_requested=True)
    first = [] if place is thought else [thought("I look.")]
    play(stream, *first, place("I look.\n" + said[:20]), place(said[20:]), finish(reason), DONE)
    assert isinstance(stream.failure, UpstreamBroken) and stream.stop_reason is None
    assert any("wrote a tool call" in entry.note for entry in ledger.entries)
    key = "content" if place is text else "reasoning_content"
    choice = {"index": 0, "message": {key: said}, "finish_reason": reason}
    with pytest.raises(UpstreamBroken):
        message({"choices": [choice]}, context_of(**OFFERED), Ledger())


@pytest.mark.parametrize(
    "said",
    [
        "I look." + WRITTEN[0],
        "I look. " + WRITTEN[5],
        '{"name": "Read", "arguments": {"a": "x"}}',
        ' {"name":"Read","input":{}}\n',
    ],
)
def test_special_tokens_need_no_line_of_their_own_and_a_lone_object_no_mark(said):
    stream = stream_of(**OFFERED)
    play(stream, text(said[:9]), text(said[9:]), finish("stop"), DONE)
    assert isinstance(stream.failure, UpstreamBroken)
    with pytest.raises(UpstreamBroken):
        choice = {"index": 0, "message": {"content": said}, "finish_reason": "stop"}
        message({"choices": [choice]}, context_of(**OFFERED), Ledger())


@pytest.mark.parametrize("said", QUOTED)
def test_a_text_that_quotes_such_marks_is_an_answer(said):
    stream = stream_of(**OFFERED)
    play(stream, text(said[:9]), text(said[9:]), finish("stop"), DONE)
    assert stream.failure is None and stream.stop_reason == "end_turn"


def test_a_call_beside_the_written_one_is_the_answer():
    called = {"index": 0, "id": "c", "function": {"name": "Read", "arguments": '{"a":1}'}}
    stream = stream_of(**OFFERED)
    play(stream, text(WRITTEN[2]), chunk({"tool_calls": [called]}), finish("tool_calls"), DONE)
    assert stream.failure is None and stream.stop_reason == "tool_use"


def test_what_was_thought_in_front_of_an_answer_is_no_call():
    stream = stream_of(**OFFERED, thinking_requested=True)
    play(stream, thought(WRITTEN[2]), text("Done."), finish("stop"), DONE)
    assert stream.failure is None


def test_looking_for_calls_takes_bounded_time():
    tools = frozenset(f"tool_{number}" for number in range(200))
    began = time.process_time()
    for unit in ("<tool_call>", "```<tool_call>\n", "<|tool_call_begin|>x\n"):
        assert not is_written(unit * 400_000 + ">", tools)
    assert time.process_time() - began < 2
