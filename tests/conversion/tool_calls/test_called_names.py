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


@pytest.mark.parametrize("own", ["", "{}", None])
@pytest.mark.parametrize(
    "name",
    [
        f"Read<|message|>{READ_TEXT}",
        f"functions.Read:0<|tool_call_argument_begin|>{READ_TEXT}<|tool_call_end|>",
        f"Read<\uff5ctool\u2581sep\uff5c>{READ_TEXT}",
        f"<|constrain|>Read json {READ_TEXT}",
    ],
)
def test_arguments_behind_the_name_are_those_of_a_call_without_its_own(name, own):
    assert streamed(call(0, "c", name, own), finish("tool_calls"), **OFFERED) == [READ]
    assert whole({"tool_calls": [{"id": "c", "function": {"name": name, "arguments": own}}]}, **OFFERED) == [
        READ
    ]
    assert told(message_of(response(function_call("c", name, own or "")), **OFFERED)["content"]) == [READ]


@pytest.mark.parametrize(
    "behind",
    [
        "<arg_key>file_path</arg_key><arg_value>a</arg_value>",
        "\n<parameter=file_path>\na\n</parameter>",
        "{oops",
    ],
)
def test_arguments_behind_the_name_that_cannot_be_read_are_told_and_never_left_out(behind):
    [(name, given)] = whole({"tool_calls": [{"id": "c", "function": {"name": "Read" + behind}}]}, **OFFERED)
    assert (name, list(given)) == ("Read", ["INVALID_JSON"])
    assert given["INVALID_JSON"].strip() == behind.strip()


def test_arguments_behind_the_name_do_not_replace_those_of_the_call():
    name = 'Read<|message|>{"file_path": "other"}'
    assert streamed(call(0, "c", name, READ_TEXT), finish("tool_calls"), **OFFERED) == [READ]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Read.",
            "Read,",
            "Read:",
            "Read\0",
            "Read\u200b",
            "browser.Read",
            "repo_browser.Read",
            "multi_tool_use.Read",
        ),
        *(
            "Read commentary",
            "Read code",
            '<invoke name="Read">',
            'name="Read"',
            "function=Read",
            "functions_Read",
        ),
    ],
)
def test_the_only_tool_among_the_words_of_a_template_is_the_one_that_is_called(name):
    assert streamed(call(0, "c", name, READ_TEXT), finish("tool_calls"), **OFFERED) == [READ]


@pytest.mark.parametrize(
    "name", ["Read the file", "Bash.Read", "Read Bash", "not_functions_Read", "Read_file"]
)
def test_a_name_with_other_words_is_no_tool_that_was_sent(name):
    assert streamed(call(0, "c", name, READ_TEXT), finish("tool_calls"), **OFFERED) == [(name, READ[1])]
