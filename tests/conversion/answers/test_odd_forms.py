"""Forms in which single providers say an answer, each in a stream and as a whole, in both protocols."""

from __future__ import annotations

import json

import pytest

from gateway.conversion.answers.chat_message import message
from gateway.conversion.context import ToolFacts
from gateway.conversion.ledger import Ledger
from gateway.conversion.provider_state import read_signature
from gateway.errors import GatewayError
from tests.conversion.answers.test_stream_properties import accumulated
from tests.conversion.openai_responses.scripts import (
    event,
    function_call,
    message_of,
    reasoning,
    response,
    said,
)
from tests.conversion.openai_responses.scripts import sse as typed_sse
from tests.conversion.openai_responses.scripts import stream_of as responses_stream_of
from tests.grammar import assert_legal
from tests.playbook import DONE, call, chunk, context_of, finish, play, play_bytes, stream_of, text, thought

READ = ("Read", {"file_path": "a"})
BASH = ("Bash", {"command": "ls"})
READ_TEXT, BASH_TEXT = json.dumps(READ[1]), json.dumps(BASH[1])
OFFERED = {"tools": ToolFacts(offered=frozenset({"Read", "Bash"}))}


def told(content):
    """Blocks in short: text and thinking as they are, calls as (name, input)."""
    return [
        (block["name"], block["input"])
        if block["type"] == "tool_use"
        else block.get("text") or block["thinking"]
        for block in content
    ]


def streamed(*chunks, **facts):
    events = play(stream_of(**facts), *chunks, DONE)
    assert_legal(events)
    return told(accumulated(events)["content"])


def whole(said_by_model, reason="tool_calls", **facts):
    completion = {"choices": [{"index": 0, "message": said_by_model, "finish_reason": reason}]}
    return told(message(completion, context_of(**facts), Ledger())["content"])


def typed(*events, **facts):
    events = play_bytes(responses_stream_of(**facts), [typed_sse(*events)])
    assert_legal(events)
    return accumulated(events)["content"]


NAMES = [
    "Read<|channel|>commentary",
    "<|python_tag|>Read",
    "assistant<|channel|>commentary to=functions.Read",
    "functions.Read:0",
    "default_api.Read",
    "`Read`",
    "Read()",
    "read",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_more_around_it_is_the_tool_that_was_sent(name):
    assert streamed(call(0, "c", name, READ_TEXT), finish("tool_calls"), **OFFERED) == [READ]
    assert whole(
        {"tool_calls": [{"id": "c", "function": {"name": name, "arguments": READ_TEXT}}]}, **OFFERED
    ) == [READ]
    assert told(message_of(response(function_call("c", name, READ_TEXT)), **OFFERED)["content"]) == [READ]


@pytest.mark.parametrize("name", ["delete.Read", "Reader", "READ ME", "Nothing"])
def test_another_name_is_not_taken_for_a_tool_that_was_sent(name):
    assert streamed(call(0, "c", name, READ_TEXT), finish("tool_calls"), **OFFERED) == [(name, READ[1])]


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "c", "name": "Read", "arguments": READ_TEXT},
        {"id": "c", "name": "Read", "input": READ[1]},
        {"id": "c", "function": {"name": "Read", "parameters": READ[1]}},
        {"id": "c", "function": {"name": "Read", "arguments": "None" + READ_TEXT}},
    ],
)
def test_the_arguments_of_a_call_are_found_under_any_name(entry):
    assert whole({"tool_calls": [entry]}) == [READ]
    assert whole({"tool_calls": entry}) == [READ]
    assert streamed(chunk({"tool_calls": [{"index": 0, **entry}]}), finish("tool_calls")) == [READ]


def test_arguments_under_another_index_than_the_name_are_those_of_the_latest_call():
    chunks = [call(0, "c1", "Read"), call(1, args=READ_TEXT), call(0, "c2", "Bash"), call(1, args=BASH_TEXT)]
    assert streamed(*chunks, finish("tool_calls")) == [READ, BASH]


NEEDING = {"tools": ToolFacts(offered=frozenset({"Read", "Bash"}), needing_input=frozenset({"Read"}))}


def test_a_new_id_with_every_fragment_makes_no_call_of_its_own():
    first, rest = READ_TEXT[:5], READ_TEXT[5:]
    named = [call(0, "a1", "Read"), call(0, "a2", "Read", first), call(0, "a3", "Read", rest)]
    assert streamed(*named, finish("tool_calls"), **NEEDING) == [READ]
    bare = [call(None, "a1", "Read"), call(None, "a2", "", first), call(None, "a3", "", rest)]
    assert streamed(*bare, finish("tool_calls"), **NEEDING) == [READ]
    # a tool that takes no input may have been called twice
    assert streamed(*named, finish("tool_calls"), **OFFERED) == [("Read", {}), READ]


def test_calls_that_are_announced_before_their_arguments_each_get_theirs():
    other = ("Read", {"file_path": "b"})
    chunks = [
        call(0, "a1", "Read"),
        call(0, "a2", "Read", READ_TEXT),
        call(0, "a1", args=json.dumps(other[1])),
    ]
    assert streamed(*chunks, finish("tool_calls"), **NEEDING) == [READ, other]


def test_a_text_that_is_repeated_with_the_last_reason_is_there_once():
    assert streamed(text("Hel"), text("lo"), chunk({"content": "Hello"}, "stop")) == ["Hello"]
    assert streamed(text("ha"), text("ha"), finish("stop")) == ["haha"]
    assert streamed(text("ab"), chunk({"content": "ab"}, "stop")) == ["abab"]


def test_messages_without_deltas_that_grow_are_there_once():
    grown = [{"choices": [{"index": 0, "message": {"content": said}}]} for said in ("Hel", "Hello", "Hello")]
    assert streamed(*grown, finish("stop")) == ["Hello"]
    assert streamed({"choices": [{"index": 0, "text": "Hello"}]}, finish("stop")) == ["Hello"]


def test_an_error_beside_choices_is_the_providers():
    failed = {"error": {"message": "provider down", "code": 502}}
    with pytest.raises(GatewayError, match="provider down"):
        message(
            {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], **failed},
            context_of(),
            Ledger(),
        )
    assert (
        play(stream_of(), text("x"), {**finish("error"), **failed}, DONE)[-1]["error"]["message"]
        == "provider down"
    )
    listed = {"choices": [{"delta": {}, "errors": [{"message": "boom", "code": 500}]}]}
    assert play(stream_of(), text("x"), listed, DONE)[-1]["error"]["message"] == "boom"


def test_thinking_that_comes_again_unchanged_is_there_once():
    chunks = [thought("I have a plan"), thought("I have a plan"), thought("I have a plan now"), text("x")]
    assert streamed(*chunks, finish("stop"), thinking_requested=True) == ["I have a plan now", "x"]


def test_opaque_data_that_comes_with_the_last_fragment_travels_in_the_id():
    extras = {"google": {"thought_signature": "S"}}
    last = call(0, args=READ_TEXT[5:])
    last["choices"][0]["delta"]["tool_calls"][0]["extra_content"] = extras
    chunks = [call(0, "c", "Read", ""), call(0, args=READ_TEXT[:5]), last, finish("tool_calls")]
    stream = stream_of({"tool_call_extras": {"extra_content": None}})
    content = accumulated(play(stream, *chunks, DONE))["content"]
    assert told(content) == [READ]
    assert "_gw1_" in content[0]["id"]


# Responses


def part(kind="output_text", words="Hello"):
    return {"type": kind, "text": words}


AT = {"output_index": 0, "item_id": "m"}
END = event("completed", response={"status": "completed", "output": []})


@pytest.mark.parametrize(
    "events",
    [
        [event("content_part.added", **AT, content_index=0, part=part())],
        [event("content_part.done", **AT, content_index=0, part=part())],
        [event("output_item.added", output_index=0, item=said("Hello"))],
        [
            event("content_part.added", **AT, content_index=0, part=part()),
            event("output_text.delta", **AT, content_index=0, delta="Hello"),
        ],
    ],
)
def test_a_text_is_told_once_wherever_it_stands(events):
    assert told(typed(*events, END)) == ["Hello"]
    assert told(typed(*events, event("completed", response=response(said("Hello"))))) == ["Hello"]


@pytest.mark.parametrize(
    "events",
    [
        [event("reasoning_summary_text.done", output_index=0, summary_index=0, text="plan")],
        [
            event(
                "reasoning_summary_part.done",
                output_index=0,
                summary_index=0,
                part=part("summary_text", "plan"),
            )
        ],
        [event("reasoning_text.done", output_index=0, content_index=0, text="plan")],
        [event("content_part.done", output_index=0, content_index=0, part=part("reasoning_text", "plan"))],
        [
            event("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="pl"),
            event("output_item.done", output_index=0, item=reasoning("plan")),
        ],
    ],
)
def test_reasoning_is_told_once_wherever_it_stands(events):
    assert told(typed(*events, END, thinking_requested=True)) == ["plan"]


def test_items_that_all_have_one_place_are_told_apart():
    one, two = function_call("c1", "Read", READ_TEXT), function_call("c2", "Bash", BASH_TEXT)
    events = [event("output_text.delta", output_index=0, content_index=0, delta="Hello")]
    for item in (one, two):
        events.append(event("output_item.added", output_index=0, item={**item, "arguments": ""}))
        events.append(event("function_call_arguments.delta", output_index=0, delta=item["arguments"]))
        events.append(event("output_item.done", output_index=0, item=item))
    assert told(typed(*events, END)) == ["Hello", READ, BASH]
    again = event("completed", response=response(said("Hello"), one, two))
    assert told(typed(*events, again)) == ["Hello", READ, BASH]


def test_two_calls_with_one_id_are_two_calls():
    items = function_call("c", "Read", READ_TEXT), function_call("c", "Bash", BASH_TEXT)
    assert told(message_of(response(*items))["content"]) == [READ, BASH]
    items = function_call("c", "Read", READ_TEXT), function_call("c", "Read", '{"file_path":"b"}')
    assert told(message_of(response(*items))["content"]) == [READ, ("Read", {"file_path": "b"})]


@pytest.mark.parametrize(
    ("reason", "stop"),
    [("max_tokens", "max_tokens"), ("MAX_OUTPUT_TOKENS", "max_tokens"), ("safety", "refusal")],
)
def test_the_reason_of_an_incomplete_response_is_read_in_any_spelling(reason, stop):
    given = response(said("Hello"), status="incomplete", incomplete_details={"reason": reason})
    assert message_of(given)["stop_reason"] == stop


def test_a_response_that_completes_as_failed_is_an_error():
    failed = {"status": "failed", "output": [], "error": {"code": "server_error", "message": "boom"}}
    stream = responses_stream_of()
    play_bytes(stream, [typed_sse(event("created", response={}), event("completed", response=failed))])
    assert stream.failure is not None
    assert "boom" in stream.failure.message


@pytest.mark.parametrize("asked", [True, False])
def test_reasoning_that_led_to_a_call_travels_in_front_of_it_whatever_was_asked(asked):
    items = (
        reasoning(id="rs_1"),
        function_call("c1", "Read", READ_TEXT),
        reasoning(id="rs_2", encrypted=None, content=("plan",)),
        function_call("c2", "Bash", BASH_TEXT),
    )
    message = message_of(response(*items), thinking_requested=asked)
    kinds = [block["type"] for block in message["content"]]
    assert kinds == ["thinking", "tool_use", "thinking", "tool_use"]
    first, second = (read_signature(block["signature"]) for block in message["content"][::2])
    assert (first["ri"], first["ec"]) == ("rs_1", "ENC")
    assert second["ri"] == "rs_2"
    assert message["content"][2]["thinking"] == ("plan" if asked else "")
    assert asked or second["t"] == "plan"
    without_call = message_of(response(reasoning(), said("Hello")), thinking_requested=False)
    assert [block["type"] for block in without_call["content"]] == ["text"]


def test_an_answer_in_the_reasoning_alone_is_text_for_a_client_that_asked_for_no_thinking():
    chunks = [thought("The "), thought("answer is 4.")]
    said = {"content": "", "reasoning_content": "The answer is 4."}
    ledger = Ledger()
    for reason in ("stop", "tool_calls"):
        assert streamed(*chunks, finish(reason)) == whole(said, reason) == ["The answer is 4."]
    play(stream_of(ledger=ledger), *chunks, finish("stop"), DONE)
    assert [entry.note for entry in ledger.entries if entry.path == "content.text"] == [
        "the answer stood in the reasoning alone, and is shown as text"
    ]
    answer = response(reasoning("The answer is 4."))
    assert told(message_of(answer)["content"]) == ["The answer is 4."]
    assert streamed(*chunks, finish("stop"), local_stops=(" is",)) == ["The answer"]
    assert whole({"content": "The answer is 4."}, "stop", options={"reasoning_in": ["think_open"]}) == [
        "The answer is 4."
    ]


def test_thinking_that_was_asked_for_cut_off_or_refused_is_no_answer():
    chunks = [thought("The "), thought("answer is 4.")]
    assert streamed(*chunks, finish("length")) == streamed(*chunks, finish("content_filter")) == []
    assert streamed(*chunks, finish("stop"), thinking_requested=True) == ["The answer is 4."]
    assert streamed(*chunks, finish("stop"), options={"emit_thinking": "never"}) == []
    assert streamed(*chunks, text("Yes"), finish("stop")) == ["Yes"]
    calling = [*chunks, call(0, "c", "Read", READ_TEXT), finish("tool_calls")]
    assert streamed(*calling) == [READ]


def test_a_fragment_under_the_index_of_a_whole_call_is_of_the_one_that_is_not_whole():
    chunks = [call(0, "c1", "Read", READ_TEXT), call(1, "c2", "Bash", BASH_TEXT[:4])]
    rest = [call(0, args=BASH_TEXT[4:7]), call(1, args=BASH_TEXT[7:])]
    assert streamed(*chunks, *rest, finish("tool_calls")) == [READ, BASH]
    # a bracket too many is not
    assert streamed(*chunks, call(0, args="}"), call(1, args=BASH_TEXT[4:]), finish("tool_calls")) == [
        READ,
        BASH,
    ]
