"""What an answer gives the client comes back with the next request, and means the same."""

import json

from gateway.conversion.answers.chat_message import message
from gateway.conversion.ledger import Ledger
from tests.conversion.converting import assistant, convert, request_of, result, user

GEMINI = {"provider": "gemini", "tool_call_extras": {"extra_content": {"google": {"signature": "stand-in"}}}}


def tool(name, schema=None):
    return {"name": name, "input_schema": schema or {"type": "object", "properties": {}}}


def answered(request, said, options=None, finish="tool_calls"):
    """The message that an answer to `request` becomes."""
    choice = {"index": 0, "message": said, "finish_reason": finish}
    return message({"choices": [choice]}, convert(request, options).context, Ledger())


def continued(request, answer, options=None):
    """The chat messages of the next request: the answer, and a result for each of its calls."""
    results = [result(block["id"], "done") for block in answer["content"] if block["type"] == "tool_use"]
    behind = [assistant(*answer["content"]), user(*results, "and then?")]
    return convert({**request, "messages": [*request["messages"], *behind]}, options).messages


def test_a_long_name_is_the_same_upstream_in_tools_answer_and_history():
    twins = [f"mcp__{'x' * 63}__{end}" for end in ("one", "two")]
    request = request_of(tools=[tool(name) for name in twins])
    sent = [each["function"]["name"] for each in convert(request).body["tools"]]
    calls = [{"id": f"c{n}", "function": {"name": name, "arguments": "{}"}} for n, name in enumerate(sent)]
    answer = answered(request, {"content": None, "tool_calls": calls})
    assert [block["name"] for block in answer["content"]] == twins
    history = continued(request, answer)[1]
    assert [call["function"]["name"] for call in history["tool_calls"]] == sent


def test_opaque_data_of_a_call_comes_back_to_the_provider_that_made_it():
    signed = {"google": {"signature": "abc+/="}}
    calls = [
        {"id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}, "extra_content": signed},
        {"id": "c2", "function": {"name": "f", "arguments": "{}"}},
    ]
    request = request_of(tools=[tool("f")])
    answer = answered(request, {"content": None, "tool_calls": calls}, GEMINI)
    messages = continued(request, answer, GEMINI)
    assert [call.get("extra_content") for call in messages[1]["tool_calls"]] == [signed, None]
    assert [message["tool_call_id"] for message in messages[2:4]] == ["c1", "c2"]
    other = continued(request, answer, {**GEMINI, "provider": "another"})
    assert other[1]["tool_calls"][0]["extra_content"] == {"google": {"signature": "stand-in"}}


def test_reasoning_details_come_back_exactly_as_they_were():
    options = {"provider": "p", "reasoning": "openrouter", "reasoning_replay": "reasoning_details"}
    details = [
        {"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0},
        {"type": "reasoning.encrypted", "data": "xyz"},
    ]
    request = request_of(thinking={"type": "adaptive"})
    answer = answered(request, {"content": "hi", "reasoning_details": details}, options, "stop")
    assert answer["content"][0]["thinking"] == "hm"
    assert continued(request, answer, options)[1]["reasoning_details"] == details
    elsewhere = continued(request, answer, {**options, "provider": "q"})[1]
    assert "reasoning_details" not in elsewhere
    assert elsewhere["reasoning"] == "hm"


def test_thinking_that_the_client_does_not_see_comes_back_all_the_same():
    options = {"provider": "p", "reasoning": "thinking_object", "reasoning_replay": "reasoning_content"}
    request = request_of(thinking={"type": "adaptive", "display": "omitted"})
    answer = answered(request, {"content": "hi", "reasoning_content": "hm"}, options, "stop")
    assert answer["content"][0]["thinking"] == ""
    assert continued(request, answer, options)[1]["reasoning_content"] == "hm"


def test_a_schema_that_was_made_strict_is_answered_as_the_client_wrote_it():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "required": ["a"],
    }
    request = request_of(output_config={"format": {"type": "json_schema", "schema": schema}})
    options = {"json_schema": "force_strict"}
    sent = convert(request, options).body["response_format"]["json_schema"]
    assert (sent["strict"], sent["schema"]["required"]) == (True, ["a", "b"])
    answer = answered(request, {"content": '{"a":"x","b":null}'}, options, "stop")
    assert json.loads(answer["content"][0]["text"]) == {"a": "x"}


def test_a_member_of_a_toolset_comes_back_under_its_function():
    request = request_of(tools=[{"type": "computer_toolset_20260801"}])
    call = {"id": "c1", "function": {"name": "computer__zoom", "arguments": '{"region":[0,0,1,1]}'}}
    answer = answered(request, {"content": None, "tool_calls": [call]})
    (block,) = answer["content"]
    assert (block["name"], block["toolset_name"]) == ("zoom", "computer")
    assert continued(request, answer)[1]["tool_calls"][0]["function"] == call["function"]
