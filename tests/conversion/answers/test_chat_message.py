"""Whole messages (docs/conversion.md, "The answer")."""

from __future__ import annotations

import random

import pytest

from gateway.conversion import provider_state
from gateway.conversion.answers.chat_message import (
    in_one_piece,
    message,
    message_events,
    put_together,
    refusal_message,
)
from gateway.conversion.answers.chat_stream import MessageStream
from gateway.conversion.context import ToolFacts
from gateway.conversion.ledger import Ledger
from gateway.errors import UpstreamBroken, UpstreamRefused, UpstreamRejected
from tests.grammar import assert_legal
from tests.playbook import context_of, lines

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def completion(said, finish="stop", **more):
    return {"choices": [{"index": 0, "message": said, "finish_reason": finish}], "usage": USAGE, **more}


def answer(said, finish="stop", options=None, *, ledger=None, **facts):
    return message(
        completion(said, finish), context_of(options, **facts), ledger if ledger is not None else Ledger()
    )


def function(name="X", arguments="{}", id="c1"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_the_envelope():
    got = answer({"content": "hi"})
    assert {key: got[key] for key in got if key not in ("usage", "content")} == {
        "id": "msg_000000000000000000000001",
        "type": "message",
        "role": "assistant",
        "model": "claude-test",
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
    }


USUAL = [
    {"content": "hi"},
    {"content": " \n", "reasoning_content": "r"},
    {"content": "hi", "reasoning_content": "r", "tool_calls": [function(arguments='{"a":1}')]},
    {"content": None, "tool_calls": [function(), function(id="c2", arguments='{"a":1}')]},
    {"content": None, "tool_calls": [function(arguments=None), function("Y", "null", "c2")]},
    {"content": "", "tool_calls": [function(id=""), function(id="", arguments={"a": [1, {"b": None}]})]},
]
ODD = [
    {"content": None, "tool_calls": [function(arguments='{"a":1}{"a":2}')]},
    {"content": None, "tool_calls": [function(arguments='{}{"a":2}')]},
    {"content": None, "tool_calls": [function(arguments='{"a":1}'), function(arguments='{"a":1}')]},
    {"content": None, "tool_calls": [function(arguments='{"a":1'), function("", "}", "")]},
    {"content": "a", "refusal": "no"},
]


@pytest.mark.parametrize("said", USUAL + ODD)
@pytest.mark.parametrize("shown", [True, False])
def test_an_answer_that_is_built_directly_is_the_one_that_is_read_as_a_stream(said, shown):
    told = completion(said)
    noted, noted_of_stream = Ledger(), Ledger()
    stream = MessageStream(in_one_piece(context_of(thinking_requested=shown)), noted_of_stream)
    events = stream.respond(told)
    if stream.failure is not None:
        with pytest.raises(type(stream.failure)):
            message(told, context_of(thinking_requested=shown), Ledger())
        return
    expected = put_together(events, stream.usage.whole())
    got = message(told, context_of(thinking_requested=shown), noted)
    assert _without_ids(got) == _without_ids(expected)
    assert sorted(noted.entries) == sorted(noted_of_stream.entries)


def _without_ids(got):
    blocks = [{name: block[name] for name in block if name != "id"} for block in got["content"]]
    return {**got, "id": "", "content": blocks}


def test_citations_of_a_whole_answer_stay_with_the_text_in_front_of_its_calls():
    cited = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
    said = {"content": "hi", "annotations": [cited], "tool_calls": [function()] * 2}
    got = answer(said, web_search_active=True)
    assert got["content"][0]["citations"]


def test_the_model_is_the_clients_word():
    got = message(completion({"content": "a"}, model="foo"), context_of(model="x[1m]"), Ledger())
    assert got["model"] == "x[1m]"


def test_context_management_only_when_asked_for():
    assert "context_management" not in answer({"content": "a"})
    got = answer({"content": "a"}, report_context_management=True)
    assert got["context_management"] == {"applied_edits": []}


def test_the_order_is_thinking_text_calls():
    said = {"content": "t", "reasoning_content": "r", "tool_calls": [function()]}
    got = answer(said, "tool_calls", thinking_requested=True)
    assert [block["type"] for block in got["content"]] == ["thinking", "text", "tool_use"]


@pytest.mark.parametrize("content", [None, "", " \n", [], 7])
def test_an_answer_without_text_is_empty(content):
    got = answer({"content": content})
    assert (got["content"], got["stop_reason"]) == ([], "end_turn")


def test_blank_text_beside_a_call_is_dropped_and_other_text_untouched():
    assert [
        block["type"] for block in answer({"content": "\n\n", "tool_calls": [function()]})["content"]
    ] == ["tool_use"]
    assert answer({"content": "\n\nhi \n"})["content"][0]["text"] == "\n\nhi \n"


def test_a_list_of_parts_is_joined():
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    assert answer({"content": parts})["content"] == [{"type": "text", "text": "ab"}]


@pytest.mark.parametrize("indexes", [(1, 0), (None, None)])
def test_an_answer_that_is_spread_over_choices_is_joined(indexes):
    called = {"message": {"tool_calls": [function()]}, "finish_reason": "tool_calls"}
    said = {"message": {"content": "A"}, "finish_reason": "stop"}
    choices = [called, said] if indexes[0] else [said, called]
    for index, choice in zip(indexes, choices, strict=True):
        if index is not None:
            choice["index"] = index
    got = message({"choices": choices}, context_of(), Ledger())
    assert [block["type"] for block in got["content"]] == ["text", "tool_use"]
    assert got["stop_reason"] == "tool_use"


@pytest.mark.parametrize("payload", [{}, {"choices": []}, {"choices": None}, {"choices": ["x"]}])
def test_no_choices_is_a_broken_answer(payload):
    with pytest.raises(UpstreamBroken, match="upstream returned no choices") as caught:
        message(payload, context_of(), Ledger())
    assert (caught.value.status, caught.value.error_type) == (502, "api_error")


@pytest.mark.parametrize(
    "payload, status, kind",
    [
        ({"error": {"message": "m", "code": 429}}, 429, "rate_limit_error"),
        ({"error": {"message": "m"}}, 502, "api_error"),
        ({"error": "m", "choices": []}, 502, "api_error"),
        ({"base_resp": {"status_code": 1004, "status_msg": "m"}}, 502, "api_error"),
        ({"object": "error", "message": "m", "code": 400}, 400, "invalid_request_error"),
        ({"detail": "m"}, 502, "api_error"),
    ],
)
def test_an_error_inside_a_200(payload, status, kind):
    with pytest.raises(UpstreamRejected) as caught:
        message(payload, context_of(), Ledger())
    assert (caught.value.status, caught.value.error_type, caught.value.message) == (status, kind, "m")


def test_a_content_filter_inside_a_200_is_a_refusal():
    with pytest.raises(UpstreamRefused):
        message({"error": {"code": "content_filter", "message": "no"}}, context_of(), Ledger())


@pytest.mark.parametrize("word, status", [("error", 502), ("insufficient_system_resource", 529)])
def test_finish_reasons_that_are_errors(word, status):
    with pytest.raises(UpstreamRejected) as caught:
        answer({"content": "a"}, word)
    assert caught.value.status == status


def test_a_refusal_becomes_text_when_there_is_no_other():
    got = answer({"content": None, "refusal": "I cannot."})
    assert got["content"] == [{"type": "text", "text": "I cannot."}]
    assert got["stop_details"] == {"type": "refusal", "category": None, "explanation": "I cannot."}
    assert answer({"content": "a", "refusal": "no"})["content"] == [{"type": "text", "text": "a"}]


def test_a_filtered_answer_keeps_only_whole_calls():
    calls = [function(id="a"), function(id="b", arguments='{"x":')]
    got = answer({"content": None, "tool_calls": calls}, "content_filter")
    assert [block["id"] for block in got["content"]] == ["a"]
    assert got["stop_reason"] == "refusal"


# 5.4


def test_reasoning_in_two_places_is_read_once():
    said = {"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}], "content": "b"}
    assert answer(said, thinking_requested=True)["content"][0]["thinking"] == "a"


@pytest.mark.parametrize(
    "rule, requested, shown",
    [("requested", True, True), ("requested", False, False), ("always", False, True), ("never", True, False)],
)
def test_when_thinking_is_shown(rule, requested, shown):
    got = answer(
        {"content": "a", "reasoning": "r"}, options={"emit_thinking": rule}, thinking_requested=requested
    )
    assert (got["content"][0]["type"] == "thinking") is shown


def test_omitted_thinking_is_empty_but_signed():
    got = answer(
        {"content": "a", "reasoning_content": "r"},
        options={"reasoning_replay": "reasoning_content", "provider": "p"},
        thinking_requested=True,
        thinking_display="omitted",
    )
    block = got["content"][0]
    assert block["thinking"] == ""
    assert provider_state.read_signature(block["signature"]) == {
        "v": 1, "p": "p", "m": "claude-test", "f": "reasoning_content", "t": "r",
    }  # fmt: skip


def test_details_of_a_whole_message_stay_as_they_are():
    details = [{"type": "reasoning.text", "text": "a"}, {"type": "reasoning.text", "text": "b"}]
    got = answer(
        {"content": "x", "reasoning_details": details},
        options={"reasoning_replay": ["reasoning_details", "reasoning_content"]},
        thinking_requested=True,
    )
    assert got["content"][0]["thinking"] == "ab"
    assert provider_state.read_signature(got["content"][0]["signature"])["rd"] == details


def test_encrypted_reasoning_alone_makes_an_empty_block():
    secret = [{"type": "reasoning.encrypted", "data": "xyz"}]
    options = {"reasoning_replay": "reasoning_details"}
    got = answer({"content": "x", "reasoning_details": secret}, options=options, thinking_requested=True)
    assert got["content"][0]["thinking"] == ""
    without = answer({"content": "x", "reasoning_details": secret}, thinking_requested=True)
    assert without["content"][0]["type"] == "text"


def test_message_extras_ride_in_the_signature():
    options = {"message_extras": ["reasoning_opaque"]}
    got = answer({"content": "x", "reasoning_opaque": "o"}, options=options, thinking_requested=True)
    assert provider_state.read_signature(got["content"][0]["signature"])["x"] == {"reasoning_opaque": "o"}


def test_think_tags_only_where_they_are_looked_for():
    said = {"content": "<think>a</think>\nb"}
    options = {"reasoning_in": ["think_tags"]}
    got = answer(said, options=options, thinking_requested=True)
    assert [block.get("thinking", block.get("text")) for block in got["content"]] == ["a", "b"]
    assert answer(said, thinking_requested=True)["content"] == [{"type": "text", "text": said["content"]}]


# 5.5


@pytest.mark.parametrize("id", ["functions.x:0", None, "", "a b", "x_gw1_y"])
def test_unusable_ids_are_replaced(id):
    assert answer({"tool_calls": [function(id=id)]})["content"][0]["id"].startswith("toolu_")


def test_an_id_used_twice_is_replaced_the_second_time():
    called = [function(arguments={"a": number}) for number in (1, 1, 2)]
    ids = [block["id"] for block in answer({"tool_calls": called})["content"]]
    assert ids[0] == "c1" and ids[1].startswith("toolu_") and len(ids) == 2


def test_names_are_the_clients_again():
    tools = ToolFacts(original_names={"short": "long name"}, toolsets={"browser__go": ("go", "browser")})
    said = {"tool_calls": [function("short"), function("unknown", id="c2"), function("browser__go", id="c3")]}
    blocks = answer(said, tools=tools)["content"]
    assert [block["name"] for block in blocks] == ["long name", "unknown", "go"]
    assert blocks[2]["toolset_name"] == "browser" and blocks[2]["caller"] == {"type": "direct"}
    assert "caller" not in blocks[0]


def test_only_the_first_call_without_parallel_calls():
    said = {"tool_calls": [function(), function(id="c2")]}
    assert len(answer(said, tools=ToolFacts(single_call=True))["content"]) == 1


def test_a_legacy_function_call():
    got = answer({"content": None, "function_call": {"name": "X", "arguments": '{"a":1}'}}, "function_call")
    assert got["content"][0]["input"] == {"a": 1} and got["content"][0]["id"].startswith("toolu_")
    assert got["stop_reason"] == "tool_use"


def test_a_custom_call():
    call = {"id": "c1", "type": "custom", "custom": {"name": "Patch", "input": "text"}}
    assert answer({"tool_calls": [call]})["content"][0]["input"] == {"input": "text"}


@pytest.mark.parametrize("calls", [None, [], "x", [None]])
def test_no_calls(calls):
    assert answer({"content": "a", "tool_calls": calls}, "tool_calls")["stop_reason"] == "end_turn"


def test_a_nameless_call_is_dropped_or_an_error():
    ledger = Ledger()
    got = answer({"content": "a", "tool_calls": [function(name="")]}, ledger=ledger)
    assert len(got["content"]) == 1 and ledger.entries[0].code == "dropped"
    with pytest.raises(UpstreamBroken, match="a tool call without a name"):
        answer({"content": None, "tool_calls": [function(name=None)]})


def test_repaired_arguments_are_written_down():
    ledger = Ledger()
    answer({"tool_calls": [function(arguments='{"a":1,}')]}, "tool_calls", ledger=ledger)
    assert [(entry.code, entry.path) for entry in ledger.entries] == [("repaired", "content.tool_use.input")]


def test_an_answer_without_loss_has_an_empty_ledger():
    ledger = Ledger()
    answer({"content": "a", "tool_calls": [function()]}, "tool_calls", ledger=ledger)
    assert not ledger


def test_opaque_data_too_large_for_an_id_is_dropped():
    ledger, noise = Ledger(), random.Random(1).randbytes(40_000).hex()
    call = function() | {"extra_content": {"s": noise}}
    options = {"tool_call_extras": {"extra_content": None}}
    got = answer({"tool_calls": [call]}, "tool_calls", options=options, ledger=ledger)
    assert got["content"][0]["id"] == "c1"
    assert [entry.code for entry in ledger.entries] == ["dropped"]


# local stops, citations, others


def test_a_local_stop_cuts_the_text_and_drops_the_calls_behind_it():
    got = answer({"content": "one STOP two", "tool_calls": [function()]}, local_stops=("STOP",))
    assert got["content"] == [{"type": "text", "text": "one "}]
    assert (got["stop_reason"], got["stop_sequence"]) == ("stop_sequence", "STOP")


def test_invented_nulls_are_removed():
    got = answer({"content": '{"a":1,"b":null}'}, nullable_paths=(("b",),))
    assert got["content"][0]["text"] == '{"a":1}'


ANNOTATED = {
    "content": "hello",
    "annotations": [
        {
            "type": "url_citation",
            "url_citation": {"url": "u", "title": "t", "start_index": 1, "end_index": 3},
        },
        {"type": "other"},
    ],
}


def test_citations_belong_to_the_text():
    block = answer(ANNOTATED, web_search_active=True)["content"][0]
    assert [(entry["cited_text"], entry["url"]) for entry in block["citations"]] == [("el", "u")]


def test_citations_without_a_search_are_dropped():
    ledger = Ledger()
    assert "citations" not in answer(ANNOTATED, ledger=ledger)["content"][0]
    assert [entry.code for entry in ledger.entries] == ["dropped"]


def test_estimates_stand_in_for_missing_usage():
    got = message(completion({"content": "some words"}, usage=None), context_of(), Ledger())
    assert got["usage"]["input_tokens"] == 11 and got["usage"]["output_tokens"] > 0


# replayed, refused, local


def test_a_replayed_message_is_a_legal_stream():
    said = {"content": "t", "reasoning": "r", "tool_calls": [function(arguments='{"a":1}')]}
    events = message_events(answer(said, thinking_requested=True, report_context_management=True))
    assert_legal(events)
    assert lines(events)[1:-1] == [
        "0 start thinking", "0 thinking r", "0 signature *", "0 stop",
        "1 start text", "1 text t", "1 stop",
        "2 start tool_use c1 X", '2 input_json {"a":1}', "2 stop",
        "end tool_use",
    ]  # fmt: skip
    assert events[-2]["context_management"] == {"applied_edits": []}


def test_a_refused_prompt_is_an_empty_message():
    got = refusal_message(context_of(), "blocked by policy")
    assert (got["content"], got["stop_reason"]) == ([], "refusal")
    assert got["stop_details"]["explanation"] == "blocked by policy"
    assert_legal(message_events(got))
