"""tool_choice (docs/conversion.md, "Tool choice")."""

import pytest

from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.tool_calls.names import upstream_name
from gateway.conversion.tools.chat_tools import tool_plan
from gateway.errors import InvalidRequest

A, B = ({"name": name, "input_schema": {"type": "object", "properties": {}}} for name in ("a", "b.b"))
NAMED_B = {"type": "function", "function": {"name": upstream_name("b.b", "any")}}


def plan(choice, tools=(A, B), ledger=None, **options):
    request = {"messages": [{"role": "user", "content": "hi"}], "tools": list(tools), "tool_choice": choice}
    return tool_plan(request, Profile.merged(options), Ledger() if ledger is None else ledger)


def sent(made):
    return [tool["function"]["name"][:1] for tool in made.tools]


CHOICES = {kind: {"type": kind} for kind in ("auto", "any", "none")} | {
    "tool": {"type": "tool", "name": "b.b"}
}


@pytest.mark.parametrize(
    ("option", "kind", "value", "tools", "codes"),
    [
        ("full", "auto", "auto", ["a", "b"], []),
        ("full", "any", "required", ["a", "b"], []),
        ("full", "tool", NAMED_B, ["a", "b"], []),
        ("full", "none", "none", ["a", "b"], []),
        ("no_named", "auto", "auto", ["a", "b"], []),
        ("no_named", "any", "required", ["a", "b"], []),
        ("no_named", "tool", "required", ["b"], ["replaced", "dropped"]),
        ("no_named", "none", "none", ["a", "b"], []),
        ("no_forced", "auto", "auto", ["a", "b"], []),
        ("no_forced", "any", "auto", ["a", "b"], ["replaced"]),
        ("no_forced", "tool", "auto", ["b"], ["replaced", "dropped"]),
        ("no_forced", "none", "none", ["a", "b"], []),
        ("auto_only", "auto", "auto", ["a", "b"], []),
        ("auto_only", "any", "auto", ["a", "b"], ["replaced"]),
        ("auto_only", "tool", "auto", ["b"], ["replaced", "dropped"]),
        ("auto_only", "none", None, [], ["replaced", "dropped"]),
    ],
)
def test_a_choice_the_provider_does_not_take_is_replaced_and_noted(option, kind, value, tools, codes):
    ledger = Ledger()
    made = plan(CHOICES[kind], ledger=ledger, tool_choice=option)
    assert made.tool_choice == value
    assert sent(made) == tools
    assert [entry.code for entry in ledger.entries if entry.code != "renamed"] == codes


@pytest.mark.parametrize("option", ["full", "no_named"])
def test_the_word_for_a_forced_call_may_be_any(option):
    assert plan(CHOICES["any"], tool_choice=option, tool_choice_any="any").tool_choice == "any"
    if option == "no_named":
        assert plan(CHOICES["tool"], tool_choice=option, tool_choice_any="any").tool_choice == "any"


def test_no_choice_is_no_choice():
    assert plan(None).tool_choice is None


@pytest.mark.parametrize("kind", ["auto", "any", "tool"])
@pytest.mark.parametrize(
    ("option", "parallel"),
    [
        ("pass", {"parallel_tool_calls": False}),
        ("parallel_function_calling", {"parallel_function_calling": False}),
        ("drop", {}),
    ],
)
def test_parallel_calls_are_switched_off_under_the_providers_name_for_it(kind, option, parallel):
    made = plan(CHOICES[kind] | {"disable_parallel_tool_use": True}, parallel_tool_calls=option)
    assert made.parallel == parallel
    assert made.facts.single_call


@pytest.mark.parametrize(
    "choice", [None, CHOICES["auto"], CHOICES["auto"] | {"disable_parallel_tool_use": False}]
)
def test_parallel_calls_are_otherwise_not_mentioned(choice):
    made = plan(choice)
    assert made.parallel == {}
    assert not made.facts.single_call


def test_none_allows_no_call_so_nothing_is_said_about_parallel_ones():
    assert plan(CHOICES["none"] | {"disable_parallel_tool_use": True}).parallel == {}


@pytest.mark.parametrize("tools", [[], [{**A, "allowed_callers": ["code_execution_20260120"]}]])
def test_without_tools_neither_choice_nor_parallel_is_sent(tools):
    made = plan(CHOICES["auto"] | {"disable_parallel_tool_use": True}, tools)
    assert (made.tools, made.tool_choice, made.parallel) == ([], None, {})


@pytest.mark.parametrize(
    ("choice", "tools", "message"),
    [
        ({"type": "any"}, [], "tool_choice: may only be specified while providing tools"),
        (CHOICES["tool"], [], "tool_choice: may only be specified while providing tools"),
        ({"type": "tool", "name": "x"}, [A], "tool_choice: tool 'x' not found in provided tools"),
        ({"type": "tool"}, [A], "tool_choice.tool.name: Field required"),
        ({"type": "tool", "name": 1}, [A], "tool_choice.tool.name: Input should be a valid string"),
        ({}, [A], "tool_choice.type: Field required"),
        ("auto", [A], "tool_choice: Input should be a valid dictionary"),
        (
            {"type": "x"},
            [A],
            "tool_choice: Input tag 'x' found using 'type' does not match any of the expected tags: "
            "'auto', 'any', 'tool', 'none'",
        ),
        (
            {"type": "auto", "disable_parallel_tool_use": "yes"},
            [A],
            "tool_choice.auto.disable_parallel_tool_use: Input should be a valid boolean",
        ),
    ],
)
def test_a_choice_that_cannot_be_is_refused(choice, tools, message):
    with pytest.raises(InvalidRequest) as refused:
        plan(choice, tools)
    assert refused.value.message == message


def test_a_member_of_a_toolset_may_be_chosen_by_either_name():
    toolset = {"type": "computer_toolset_20260801"}
    for name in ("screenshot", "computer__screenshot"):
        made = plan({"type": "tool", "name": name}, [toolset])
        assert made.tool_choice == {"type": "function", "function": {"name": "computer__screenshot"}}
