"""Calls that an answer ends in: what was cut never looks like a call without arguments."""

from __future__ import annotations

import pytest

from gateway.conversion.answers.chat_message import message
from gateway.conversion.ledger import Ledger
from gateway.errors import UpstreamBroken
from tests.conversion.answers.test_odd_forms import OFFERED
from tests.conversion.openai_responses import scripts
from tests.conversion.openai_responses.scripts import message_of
from tests.conversion.openai_responses.scripts import sse as typed_sse
from tests.grammar import assert_legal
from tests.playbook import (
    DONE,
    call,
    chunk,
    context_of,
    finish,
    lines,
    play,
    play_bytes,
    stream_of,
    text,
    usage,
)

BEGINNINGS = ["", "{}", "null", " ", '""', "{", None]


def played(*chunks, **facts):
    ledger = Ledger()
    stream = stream_of(ledger=ledger, **OFFERED, **facts)
    events = play(stream, *chunks)
    assert_legal(events)
    return lines(events), [entry.note for entry in ledger.entries], stream


def inputs_of(told):
    """What a client puts together of the input of each call."""
    return [line.partition(" input_json ")[2] for line in told if " input_json " in line]


def whole_with(arguments, reason):
    entry = {"id": "c", "type": "function", "function": {"name": "Read", "arguments": arguments}}
    choice = {"index": 0, "message": {"content": "Hm.", "tool_calls": [entry]}, "finish_reason": reason}
    return message({"choices": [choice]}, context_of(**OFFERED), Ledger())


@pytest.mark.parametrize("reason", ["length", "model_length"])
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_call_cut_in_front_of_its_first_argument_stays_open(beginning, reason):
    told, _, stream = played(text("Hm."), call(0, "c", "Read", beginning), finish(reason), DONE)
    assert inputs_of(told) == ["{"] and stream.stop_reason != "tool_use"


@pytest.mark.parametrize("beginning", ["", "{}", "null", "{", None])
def test_in_a_whole_answer_such_a_call_is_shown_as_unusable(beginning):
    blocks = whole_with(beginning, "length")["content"]
    assert set(blocks[-1]["input"]) == {"INVALID_JSON"}
    assert whole_with('{"a":1}', "length")["content"][-1]["input"] == {"a": 1}
    assert whole_with("" if beginning == "{" else beginning, "tool_calls")["content"][-1]["input"] == {}


@pytest.mark.parametrize("beginning", ["", "{}", None])
def test_a_buffered_call_that_was_cut_there_is_shown_as_unusable(beginning):
    stream = stream_of({"tool_args": "buffer"}, **OFFERED)
    told = lines(play(stream, call(0, "c", "Read", beginning), finish("length"), DONE))
    assert inputs_of(told) == ['{"INVALID_JSON":"%s"}' % (beginning or "")]


@pytest.mark.parametrize("beginning", ["", "{}", " ", None])
def test_a_call_that_the_content_filter_cut_there_is_left_out(beginning):
    told, notes, stream = played(text("Hm."), call(0, "c", "Read", beginning), finish("content_filter"), DONE)
    assert stream.stop_reason == "refusal" and not any("tool_use" in line for line in told)
    assert "the content filter cut the tool call off" in notes
    blocks = whole_with(beginning, "content_filter")["content"]
    assert [block["type"] for block in blocks] == ["text"]


@pytest.mark.parametrize("beginning", ["", "{}", "null", None])
def test_without_a_finish_reason_a_call_without_arguments_is_an_error(beginning):
    told, _, stream = played(call(0, "c", "Read", beginning), DONE)
    assert isinstance(stream.failure, UpstreamBroken) and inputs_of(told) == []


def test_a_call_behind_which_the_model_said_more_was_not_cut():
    chunks = [call(0, "c", "Read", ""), call(1, "d", "Bash", '{"a":'), finish("length"), DONE]
    assert inputs_of(played(*chunks)[0]) == ["{}", '{"a":']
    filtered = played(*chunks[:2], finish("content_filter"), DONE)
    assert inputs_of(filtered[0]) == ["{}"]
    said = played(call(0, "c", "Read", "{}"), text("Done."), finish("length"), DONE)
    assert inputs_of(said[0]) == ["{}"]


def test_the_text_of_a_custom_call_that_may_be_cut_is_not_handed_on_as_whole():
    piece = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "Read", "input": "*** Begin"}}
    told = lines(play(stream_of(**OFFERED), chunk({"tool_calls": [piece]}), finish("length"), DONE))
    assert inputs_of(told) == ['{"INVALID_JSON":"*** Begin"}']


def typed(kind, **facts):
    return {"type": f"response.{kind}", **facts}


def cut_response(arguments, *, reason="max_output_tokens", done=True):
    item = {"type": "function_call", "id": "fc", "call_id": "c", "name": "Read", "arguments": arguments}
    events = [typed("output_item.added", output_index=0, item={**item, "arguments": ""})]
    if done:
        events.append(typed("output_item.done", output_index=0, item=item))
    whole = {"status": "incomplete", "incomplete_details": {"reason": reason}, "output": [item]}
    return [*events, typed("incomplete", response=whole)], whole


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("arguments", ["", "{}"])
def test_a_response_that_ends_at_its_limit_leaves_the_call_open_too(arguments, done):
    events, whole = cut_response(arguments, done=done)
    stream = scripts.stream_of(**OFFERED)
    assert inputs_of(lines(play_bytes(stream, [typed_sse(*events)]))) == ["{"]
    assert stream.stop_reason == "max_tokens"
    assert set(message_of(whole, **OFFERED)["content"][0]["input"]) == {"INVALID_JSON"}


def test_a_response_that_was_filtered_there_has_no_such_call():
    _, whole = cut_response("", reason="content_filter")
    assert message_of(whole, **OFFERED)["content"] == []


@pytest.mark.parametrize("reason", ["tool_calls", "stop", "what_ever"])
def test_half_a_call_at_the_cap_was_cut_by_the_limit_whatever_the_reason_says(reason):
    chunks = [call(0, "c", "Read", '{"a":"long'), finish(reason), usage(50, 1024), DONE]
    told, notes, stream = played(*chunks)
    assert stream.stop_reason == "max_tokens" and inputs_of(told) == ['{"a":"long']
    assert any("at its token limit" in note for note in notes)


@pytest.mark.parametrize("count", [1023, None])
def test_half_a_call_below_the_cap_is_an_error(count):
    ending = [usage(50, count)] if count else []
    assert played(call(0, "c", "Read", '{"a":"long'), finish("tool_calls"), *ending, DONE)[2].failure


def test_a_whole_call_at_the_cap_was_not_cut():
    _, notes, stream = played(call(0, "c", "Read", '{"a":1}'), finish("tool_calls"), usage(50, 1024), DONE)
    assert stream.stop_reason == "tool_use" and notes == []
