"""Calls of a response whose arguments are an object, or are named late."""

from __future__ import annotations

import pytest

from gateway.conversion.ledger import Ledger
from tests.conversion.answers.test_stream_properties import accumulated
from tests.conversion.openai_responses.scripts import (
    event,
    function_call,
    message_of,
    response,
    sse,
    stream_of,
    streamed,
)
from tests.playbook import play_bytes


@pytest.mark.parametrize("place", ["added", "delta", "done"])
def test_arguments_that_are_an_object_are_read_wherever_they_stand(place):
    given = {"a": "1"}
    item = {"type": "function_call", "id": "fc", "call_id": "c", "name": "Read", "arguments": ""}
    at = {"output_index": 0, "item_id": "fc"}
    events = [
        event(
            "output_item.added", output_index=0, item={**item, "arguments": given if place == "added" else ""}
        )
    ]
    if place == "delta":
        events.append(event("function_call_arguments.delta", **at, delta=given))
    if place == "done":
        events.append(event("function_call_arguments.done", **at, arguments=given))
    events.append(event("completed", response={"id": "r", "status": "completed", "output": []}))
    content = accumulated(play_bytes(stream_of(), [sse(*events)]))["content"]
    assert [(block["name"], block["input"]) for block in content] == [("Read", given)]


def test_the_end_of_the_arguments_may_be_all_that_names_the_call():
    at = {"output_index": 0, "item_id": "fc"}
    ended = event("function_call_arguments.done", **at, arguments='{"a":"1"}', name="Read")
    over = event("completed", response={"id": "r", "status": "completed", "output": []})
    content = accumulated(play_bytes(stream_of(), [sse(ended, over)]))["content"]
    assert [(block["name"], block["input"]) for block in content] == [("Read", {"a": "1"})]


def test_a_completed_response_with_calls_needs_no_repair():
    ledger = Ledger()
    whole = response(function_call(arguments='{"a":1}'))
    assert message_of(whole, ledger=ledger)["stop_reason"] == "tool_use"
    play_bytes(stream_of(ledger=ledger), [sse(*streamed(whole))])
    assert not ledger.entries
