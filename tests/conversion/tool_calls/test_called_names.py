"""The name of a call, when more than the name stands where it should."""

from __future__ import annotations

import json

import pytest

from tests.conversion.answers.test_odd_forms import OFFERED, READ, READ_TEXT, streamed, told, typed, whole
from tests.conversion.openai_responses.scripts import event, function_call, message_of, response
from tests.playbook import call, chunk, finish

OBJECTS = [
    '{"name": "Read"}',
    '{"name":"Read","arguments":{}}',
    "{'name': 'Read'}",
    '{"function": "Read"}',
    '{"name": "functions.Read"}',
    '{"type":"function","function":{"name":"Read","arguments":"{}"}}',
    '```json\n{"name":"Read"}\n```',
    {"name": "Read"},
]
TAGS = ["<tool_call>Read", "Read</tool_name>", "<function=Read>", "<tool_name>Read</tool_name>"]


@pytest.mark.parametrize("name", [*OBJECTS, *TAGS])
def test_a_name_that_is_an_object_or_has_tags_around_it_is_the_tool_that_was_sent(name):
    assert streamed(call(0, "c", name, READ_TEXT), finish("tool_calls"), **OFFERED) == [READ]
    pieces = [call(0, "c", name, READ_TEXT[:4]), call(0, args=READ_TEXT[4:])]
    assert streamed(*pieces, finish("tool_calls"), **OFFERED) == [READ]
    entry = {"id": "c", "function": {"name": name, "arguments": READ_TEXT}}
    assert whole({"tool_calls": [entry]}, **OFFERED) == [READ]
    item = function_call("c", name, READ_TEXT)
    assert told(message_of(response(item), **OFFERED)["content"]) == [READ]
    empty = {**item, "arguments": ""}
    events = [event("output_item.added", output_index=0, item=empty)]
    events.append(event("function_call_arguments.delta", output_index=0, delta=READ_TEXT))
    assert told(typed(*events, event("completed", response=response(item)), **OFFERED)) == [READ]


@pytest.mark.parametrize("own", ["", "{}", None, "  "])
@pytest.mark.parametrize("arguments", [READ[1], READ_TEXT])
def test_arguments_in_the_name_are_those_of_a_call_without_its_own(own, arguments):
    name = json.dumps({"name": "Read", "arguments": arguments})
    assert streamed(call(0, "c", name, own), finish("tool_calls"), **OFFERED) == [READ]
    entry = {"id": "c", "function": {"name": name, "arguments": own}}
    assert whole({"tool_calls": [entry]}, **OFFERED) == [READ]


def test_arguments_in_the_name_do_not_replace_those_of_the_call():
    name = json.dumps({"name": "Read", "arguments": {"file_path": "other"}})
    assert streamed(call(0, "c", name, READ_TEXT), finish("tool_calls"), **OFFERED) == [READ]


@pytest.mark.parametrize("function", ["Read", json.dumps({"name": "Read"})])
def test_a_function_that_is_only_its_name_is_called(function):
    entry = {"id": "c", "function": function, "arguments": READ_TEXT}
    assert whole({"tool_calls": [entry]}, **OFFERED) == [READ]
    assert streamed(chunk({"tool_calls": [{"index": 0, **entry}]}), finish("tool_calls"), **OFFERED) == [READ]


@pytest.mark.parametrize("name", ['{"names": "Read"}', '{"name": 5}', '{"name": "Read"', "{}", '["Read"]'])
def test_an_object_that_names_no_tool_stays_what_it_is(name):
    assert streamed(call(0, "c", name, READ_TEXT), finish("tool_calls"), **OFFERED) == [(name, READ[1])]
