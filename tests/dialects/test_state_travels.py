"""State that a provider needs with the next turn comes back to it, whatever thinking the client asked for."""

from __future__ import annotations

import json

import pytest

from gateway.config.presets.presets import preset
from gateway.conversion.answers.chat_message import message
from gateway.conversion.ledger import Ledger
from tests.conversion.answers.test_stream_properties import accumulated
from tests.conversion.converting import convert, request_of, result, user
from tests.conversion.openai_responses.scripts import (
    OPTIONS,
    function_call,
    message_of,
    reasoning,
    response,
    said,
    sse,
    stream_of,
    streamed,
)
from tests.playbook import DONE, chunk, context_of, finish, play, play_bytes
from tests.playbook import stream_of as chat_stream_of

TOOLS = [{"name": "Read", "description": "d", "input_schema": {"type": "object", "properties": {}}}]
# what the client gives back of a block
KEPT = {
    "text": ("type", "text"),
    "thinking": ("type", "thinking", "signature"),
    "redacted_thinking": ("type", "data"),
    "tool_use": ("type", "id", "name", "input"),
}
ASKED = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096}


def next_request(content, options, *, asked):
    """The messages of the request behind an answer."""
    given = [{name: block[name] for name in KEPT[block["type"]]} for block in content]
    results = [result(block["id"], "ok") for block in content if block["type"] == "tool_use"]
    history = [user("hi"), {"role": "assistant", "content": given}, user(*(results or ["go on"]))]
    return convert(request_of(*history, tools=TOOLS, **(ASKED if asked else {})), options).messages


def called(number=0, **more):
    function = {"name": "Read", "arguments": json.dumps({"n": number})}
    return {"id": f"c{number}", "type": "function", "function": function, **more}


def detail(**fields):
    return {"reasoning_details": [{"index": 0, "format": "google-gemini-v1", **fields}]}


SEALED = {"google": {"thought_signature": "STATE=="}}
CHAT = [
    ("openrouter", detail(type="reasoning.encrypted", data="STATE==", id="c0"), {}),
    ("openrouter", detail(type="reasoning.text", text="I think", signature="STATE=="), {}),
    ("openrouter", detail(type="reasoning.encrypted", data="STATE==", id="c0") | {"reasoning": "Why"}, {}),
    ("minimax", detail(type="reasoning.text", text="I think", signature="STATE=="), {}),
    ("gemini", {}, {"extra_content": SEALED}),
    ("vertex", {}, {"extra_content": SEALED}),
]


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("text", ["", "Let me look."])
@pytest.mark.parametrize(("slug", "said_beside", "in_call"), CHAT)
def test_the_state_of_a_call_comes_back_streamed_and_whole(slug, said_beside, in_call, text, asked):
    options = preset(slug).options
    calls = [called(0, **in_call), called(1)]
    whole = {"content": text or None, **said_beside, "tool_calls": calls}
    completion = {"choices": [{"index": 0, "message": whole, "finish_reason": "tool_calls"}]}
    answers = [message(completion, context_of(options, thinking_requested=asked), Ledger())]
    for parts in (
        [{**said_beside, "content": text}, {"tool_calls": [{**calls[0], "index": 0}]}],
        [{**said_beside, "content": text, "tool_calls": [{**calls[0], "index": 0}]}],
        [{"content": text}, {**said_beside, "tool_calls": [{**calls[0], "index": 0}]}],
    ):
        chunks = [chunk(part) for part in (*parts, {"tool_calls": [{**calls[1], "index": 1}]})]
        stream = chat_stream_of(options, thinking_requested=asked)
        answers.append(accumulated(play(stream, *chunks, finish("tool_calls"), DONE)))
    for answer in answers:
        sent = next_request(answer["content"], options, asked=asked)
        assert "STATE==" in json.dumps(sent[1])
        assert [call["function"]["name"] for call in sent[1]["tool_calls"]] == ["Read", "Read"]


CALL, SECOND = function_call("c1", "Read"), {**function_call("c2", "Read", '{"b":1}'), "id": "fc_2"}
PLAN = {"encrypted": None, "content": ("I need it.",)}
ITEMS = {
    "its text": ([reasoning(**PLAN), CALL], "I need it."),
    "its text beside a summary": ([reasoning("Short.", **PLAN), CALL], "I need it."),
    "its text in two parts": ([reasoning(encrypted=None, content=("I need", "it.")), CALL], "I need\n\nit."),
    "its text without an id": ([reasoning(id="", **PLAN), CALL], "I need it."),
    "its text in front of a text": ([reasoning(**PLAN), said("Hi"), CALL], "I need it."),
    "its text in front of two calls": ([reasoning(**PLAN), CALL, SECOND], "I need it."),
}


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("name", ITEMS)
def test_reasoning_without_encryption_comes_back_as_its_text(name, asked):
    items, text = ITEMS[name]
    whole = message_of(response(*items), thinking_requested=asked)
    told = accumulated(play_bytes(stream_of(thinking_requested=asked), [sse(*streamed(response(*items)))]))
    for answer in (whole, told):
        sent = next_request(answer["content"], OPTIONS, asked=asked)
        [item] = [item for item in sent if item.get("type") == "reasoning"]
        assert item["content"] == [{"type": "reasoning_text", "text": text}]
        assert item.get("id", "rs_1") == "rs_1"


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("summary", [(), ("Short.",)])
def test_encrypted_reasoning_comes_back_as_it_was(summary, asked):
    items = [reasoning(*summary), CALL]
    for answer in (
        message_of(response(*items), thinking_requested=asked),
        accumulated(play_bytes(stream_of(thinking_requested=asked), [sse(*streamed(response(*items)))])),
    ):
        sent = next_request(answer["content"], OPTIONS, asked=asked)
        [item] = [item for item in sent if item.get("type") == "reasoning"]
        assert (item["id"], item["encrypted_content"]) == ("rs_1", "ENC")
