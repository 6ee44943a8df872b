"""A whole response as a message."""

import pytest

from gateway.conversion.context import ToolFacts
from gateway.conversion.ledger import Ledger
from gateway.conversion.provider_state import read_signature
from gateway.errors import UpstreamBroken, UpstreamRefused, UpstreamRejected
from tests.conversion.openai_responses.scripts import (
    function_call,
    message_of,
    reasoning,
    response,
    said,
    search,
)


def test_reasoning_text_and_a_call():
    items = [reasoning("a", "b"), said("Hello"), function_call("c1", "f", '{"x":1}')]
    message = message_of(response(*items), thinking_requested=True)
    thinking, text, call = message["content"]
    assert (thinking["thinking"], read_signature(thinking["signature"])["ec"]) == ("a\n\nb", "ENC")
    assert text == {"type": "text", "text": "Hello"}
    assert call == {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}}
    assert (message["stop_reason"], message["stop_sequence"], message["stop_details"]) == (
        "tool_use",
        None,
        None,
    )
    assert message["usage"]["service_tier"] == "standard"


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("", {}),
        ("{}", {}),
        ('{"a":1,}', {"a": 1}),
        ('{"a":"\n"}', {"a": "\n"}),
        ("[1]", {"INVALID_JSON": "[1]"}),
        ('{"a":', {"INVALID_JSON": '{"a":'}),
        ({"a": 1}, {"a": 1}),
    ],
)
def test_arguments_are_mended_as_those_of_chat(arguments, given):
    message = message_of(response(function_call(arguments=arguments)))
    assert message["content"][0]["input"] == given


def test_a_call_that_the_content_filter_cut_is_left_out():
    ledger = Ledger()
    cut = response(
        said("x"),
        function_call(arguments='{"a":'),
        status="incomplete",
        incomplete_details={"reason": "content_filter"},
    )
    message = message_of(cut, ledger=ledger)
    assert [block["type"] for block in message["content"]] == ["text"]
    assert message["stop_reason"] == "refusal"
    assert "dropped" in [entry.code for entry in ledger.entries]


def test_only_the_first_call_is_kept_when_one_was_asked_for():
    message = message_of(
        response(function_call("c1"), function_call("c2")), tools=ToolFacts(single_call=True)
    )
    assert [block["id"] for block in message["content"]] == ["c1"]


def test_a_search_and_its_sources():
    message = message_of(response(search("q", "https://e.com"), said("x")), web_search_active=True)
    call, found, _ = message["content"]
    assert (call["type"], call["input"]) == ("server_tool_use", {"query": "q"})
    assert (found["tool_use_id"], found["content"][0]["url"]) == (call["id"], "https://e.com")
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 1


def test_missing_numbers_are_estimated_and_said_to_be():
    ledger = Ledger()
    message = message_of(response(said("Hello"), usage=None), ledger=ledger)
    assert message["usage"]["input_tokens"] == 11
    assert [entry.code for entry in ledger.entries] == ["defaulted"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (response(status="failed", error={"code": "server_error", "message": "x"}), UpstreamRejected),
        (response(status="failed"), UpstreamRejected),
        (response(status="cancelled"), UpstreamRejected),
        (response(status="failed", error={"code": "misalignment_policy_violation"}), UpstreamRefused),
        ({"error": {"message": "x"}}, UpstreamRejected),
        ({"choices": []}, UpstreamBroken),
        ({}, UpstreamBroken),
    ],
)
def test_what_is_no_answer_is_an_error(answer, error):
    with pytest.raises(error):
        message_of(answer)


def test_an_empty_answer_is_a_message_without_content():
    message = message_of(response())
    assert (message["content"], message["stop_reason"]) == ([], "end_turn")


def test_edits_that_were_asked_for_are_reported_as_not_made():
    message = message_of(response(said("x")), report_context_management=True)
    assert message["context_management"] == {"applied_edits": []}


def test_two_calls_of_a_tool_without_arguments_stay_two():
    got = message_of(
        response(function_call("call_1", arguments="{}"), function_call("call_2", arguments="{}"))
    )
    assert [block["id"] for block in got["content"]] == ["call_1", "call_2"]
