"""Calls inside or behind the arguments of another: each is the call that it names, or an error."""

from __future__ import annotations

import pytest

from gateway.conversion.context import ToolFacts
from gateway.conversion.tool_calls.arguments import CallEnding, LiveArguments
from tests.conversion.answers.test_odd_content import played
from tests.conversion.answers.test_odd_forms import OFFERED, whole
from tests.conversion.converting import convert, request_of
from tests.playbook import call, finish

A, BASH = '{"a":"1"}', '{"name":"Bash","arguments":{"a":"2"}}'
READ_A, BASH_A = ("Read", {"a": "1"}), ("Bash", {"a": "2"})


def calls(arguments, facts=OFFERED):
    """The calls that the arguments of one are, at once, in pieces and whole."""
    end = finish("tool_calls")
    at_once = played(call(0, "c", "Read", arguments), end, **facts)
    pieces = [call(0, "c", "Read", ""), *(call(0, args=sign) for sign in arguments)]
    assert played(*pieces, end, **facts) == at_once
    entry = {"id": "c", "function": {"name": "Read", "arguments": arguments}}
    assert whole({"tool_calls": [entry]}, **facts) == at_once[0]
    return at_once[0]


@pytest.mark.parametrize(
    "between", ["\n</tool_call>\n<tool_call>\n", "\n", "", "<|tool_call_end|><|tool_call_begin|>", "\n```\n"]
)
def test_a_call_behind_the_arguments_goes_to_the_tool_that_it_names(between):
    assert calls(f"{A}{between}{BASH}") == [READ_A, BASH_A]


def test_several_calls_behind_the_arguments_are_as_many():
    other = BASH.replace("2", "3")
    assert calls(f"{A}\n{BASH}\n{other}") == [READ_A, BASH_A, ("Bash", {"a": "3"})]


@pytest.mark.parametrize("words", ["\nThen: ", "</tool_call>\nBash\n", "// "])
def test_an_object_behind_words_never_becomes_the_input_of_another_tool(words):
    arguments = f"{A}{words}{BASH}"
    at_once = played(call(0, "c", "Read", arguments), finish("tool_calls"), **OFFERED)
    assert at_once[0] == [("Read", {"INVALID_JSON": arguments})]
    pieces = [call(0, "c", "Read", ""), *(call(0, args=sign) for sign in arguments)]
    assert played(*pieces, finish("tool_calls"), **OFFERED) in (None, ([READ_A, BASH_A], "tool_use"))


def test_words_behind_the_arguments_are_left_out():
    assert calls(f"{A}\n</tool_call> done") == [READ_A]


@pytest.mark.parametrize(
    "tail",
    [
        "\nObservation: {",
        '\nObservation: {"output": "x"}',
        "\nNow I will look at {x}",
        "\nThe result is {} then.",
        "\n" + "words " * 100 + "{",
        " done {'a'}.",
    ],
)
def test_what_a_model_goes_on_to_say_behind_a_call_is_left_out(tail):
    arguments = A + tail
    end = finish("tool_calls")
    assert played(call(0, "c", "Read", arguments), end, **OFFERED) == ([READ_A], "tool_use")
    entry = {"id": "c", "function": {"name": "Read", "arguments": arguments}}
    assert whole({"tool_calls": [entry]}, **OFFERED) == [READ_A]
    live = LiveArguments()
    assert "".join(live.feed(sign) for sign in arguments) == A and live.repaired
    assert live.finish(CallEnding.OVER) == "" and live.behind == ""


@pytest.mark.parametrize("words", ["\nBash\n", "</tool_call>\nBash", "\nfunctions.Bash:1 ", "\nmcp__x-y.z\n"])
def test_an_object_that_a_word_seems_to_name_is_not_lost(words):
    arguments = f'{A}{words}{{"a":"2"}}'
    assert played(call(0, "c", "Read", arguments), finish("tool_calls"), **OFFERED)[0] == [
        ("Read", {"INVALID_JSON": arguments})
    ]


def test_a_call_as_its_own_arguments_is_that_call():
    wrapped = '{"name":"Read","arguments":{"a":"1"}}'
    assert played(call(0, "c", "Read", wrapped), finish("tool_calls"), **OFFERED)[0] == [READ_A]
    assert whole({"tool_calls": [{"function": {"name": "Read", "arguments": wrapped}}]}, **OFFERED) == [
        READ_A
    ]


def test_a_tool_whose_arguments_look_like_a_call_keeps_them():
    tools = ToolFacts(offered=frozenset({"Read", "Bash"}), taking_calls=frozenset({"Read"}))
    assert calls(BASH, {"tools": tools}) == [("Read", {"name": "Bash", "arguments": {"a": "2"}})]


def test_the_schema_of_a_tool_tells_whether_it_takes_calls():
    def tool(name, properties):
        return {"name": name, "input_schema": {"type": "object", "properties": properties}}

    tools = [
        tool("run", {"name": {"type": "string"}, "arguments": {"type": "object"}}),
        tool("ls", {"a": {}}),
    ]
    assert convert(request_of("hi", tools=tools)).context.tools.taking_calls == frozenset({"run"})
