"""The plan for all tools of a request: vectors, real requests, limits, facts.

See docs/conversion.md, "Tools".
"""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given

from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.tools.chat_tools import _plan, tool_plan
from gateway.conversion.tools.exposure import ToolHistory
from gateway.errors import InvalidRequest
from tests.conversion.json_schemas import nonsense

TESTS = Path(__file__).parents[2]
CAPTURES = sorted((TESTS / "captures").glob("*.request.json"))
FIELDS = ("tools", "tool_choice", "parallel_tool_calls", "parallel_function_calling")
VECTORS = {
    vector["name"]: vector
    for path in sorted((TESTS / "vectors").glob("r[0-9]*.json"))
    if "tools" in (vector := json.loads(path.read_text()))["request"]
}


def plan(tools, *messages, ledger=None, choice=None, **options):
    request = {
        "messages": [{"role": "user", "content": "hi"}, *messages],
        "tools": tools,
        "tool_choice": choice,
    }
    return tool_plan(request, Profile.merged(options), Ledger() if ledger is None else ledger)


def tool(name, **more):
    return {"name": name, "input_schema": {"type": "object", "properties": {}}, **more}


def call(name):
    return {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": name, "input": {}}]}


def names(made):
    return [each["function"]["name"] for each in made.tools]


def holds(actual, expected):
    """Whether `actual` has everything `expected` names; lists are compared in length and order."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            name in actual and holds(actual[name], value) for name, value in expected.items()
        )
    if isinstance(expected, list):
        return isinstance(actual, list) and len(actual) == len(expected) and all(map(holds, actual, expected))
    return actual == expected


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors(name):
    vector = VECTORS[name]
    profile = Profile.merged(vector["options"])
    if "expect_error" in vector:
        with pytest.raises(InvalidRequest) as refused:
            tool_plan(vector["request"], profile, Ledger())
        assert vector["expect_error"]["message_contains"] in refused.value.message
        return
    made = tool_plan(vector["request"], profile, Ledger())
    body = {"tools": made.tools, "tool_choice": made.tool_choice, **made.parallel}
    expected = {name: value for name, value in vector["expect_upstream"].items() if name in FIELDS}
    assert holds(body, expected)
    for pointer in vector.get("expect_absent", []):
        if pointer.split("/")[1] in FIELDS:
            value = body
            for step in pointer.split("/")[1:]:
                value = value[int(step)] if isinstance(value, list) else value.get(step, {})
            assert not value, pointer


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
@pytest.mark.parametrize("rewrites", [[], ["inline_refs", "gemini", "mfjs"]])
def test_real_requests_are_planned_and_not_changed(path, rewrites):
    request = json.loads(path.read_text())
    before = copy.deepcopy(request)
    made = tool_plan(request, Profile.merged({"schema_rewrites": rewrites}), Ledger())
    assert request == before
    declared = [
        each["name"] for each in request.get("tools") or () if each["name"] != "DeferredToolPlaceholder"
    ]
    if "web-search" in path.stem:
        assert made.local_answer
    else:
        assert names(made) == declared


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_tools_of_real_requests_lose_nothing(path):
    ledger = Ledger()
    tool_plan(json.loads(path.read_text()), Profile(), ledger)
    assert [entry.code for entry in ledger.entries] == (["replaced"] if "web-search" in path.stem else [])


def test_long_twins_get_distinct_names_and_answers_the_originals():
    twins = [f"mcp__{'x' * 60}__{end}" for end in ("one", "two")]
    made = plan([tool(name) for name in twins])
    assert len(set(names(made))) == 2
    assert [made.facts.original_names[name] for name in names(made)] == twins


def test_a_name_with_a_dot_stays_apart_from_the_one_it_looks_like():
    made = plan([tool("a.b"), tool("a_b")])
    assert len(set(names(made))) == 2
    assert names(made)[1] == "a_b"
    assert [made.facts.original_names.get(name, name) for name in names(made)] == ["a.b", "a_b"]


@pytest.mark.parametrize("other", [tool("computer__zoom"), {"type": "computer_toolset_20270101"}])
def test_two_functions_of_one_name_are_refused_before_a_provider_does(other):
    with pytest.raises(InvalidRequest, match=r"^tools: Tool names must be unique\.$"):
        plan([{"type": "computer_toolset_20260801"}, other])


def test_names_of_the_history_are_restored_too():
    made = plan([tool("a.b")], call("old.tool"))
    assert set(made.facts.original_names.values()) == {"a.b", "old.tool"}


def test_legal_names_need_no_restoring():
    assert plan([tool("a")], call("b")).facts.original_names == {}


@pytest.mark.parametrize(
    ("eager", "live", "buffered"), [(True, True, False), (False, False, True), (None, False, False)]
)
def test_a_tool_may_insist_on_how_its_arguments_are_streamed(eager, live, buffered):
    facts = plan([tool("a.b", eager_input_streaming=eager)]).facts
    assert (len(facts.live), len(facts.buffered)) == (live, buffered)


def test_members_of_a_toolset_are_known_to_the_answer():
    made = plan([{"type": "computer_toolset_20260801"}])
    assert made.facts.toolsets["computer__zoom"] == ("zoom", "computer")
    assert len(made.tools) == 17


@pytest.mark.parametrize(
    ("choice", "used", "sent"),
    [
        (None, "x", ["a", "b"]),
        ({"type": "tool", "name": "c"}, "x", ["a", "c"]),
        (None, "c", ["a", "c"]),
        ({"type": "tool", "name": "d"}, "c", ["c", "d"]),
    ],
)
def test_more_tools_than_the_provider_takes_are_left_out_chosen_and_used_ones_last(choice, used, sent):
    ledger = Ledger()
    made = plan([tool(name) for name in "abcd"], call(used), choice=choice, ledger=ledger, max_tools=2)
    assert names(made) == sent
    assert [entry.code for entry in ledger.entries] == ["dropped", "dropped"]


def test_a_tool_named_by_tool_choice_is_sent_alone_where_names_are_not_taken():
    ledger = Ledger()
    made = plan(
        [tool(n) for n in "abc"],
        choice={"type": "tool", "name": "c"},
        ledger=ledger,
        tool_choice="no_named",
        max_tools=2,
    )
    assert names(made) == ["c"]
    assert made.tool_choice == "required"


def test_long_descriptions_are_collected_for_the_system_text():
    made = plan([tool("a", description="one two"), tool("b", description="x")], tool_description_max=4)
    assert made.system_texts == ["## Tool: a\n\none two"]


def test_no_tools_is_an_empty_plan():
    for tools in (None, []):
        made = plan(tools)
        assert (made.tools, made.tool_choice, made.parallel, made.body) == ([], None, {}, {})


@pytest.mark.parametrize("rewrites", [[], ["inline_refs"], ["gemini"], ["mfjs"], ["openai"], ["llama_cpp"]])
@given(schema=nonsense())
def test_a_schema_nobody_has_checked_is_sent_or_refused_but_breaks_nothing(rewrites, schema):
    declared = {"name": "a", "strict": True, "input_schema": schema}
    try:
        made = plan([declared], schema_rewrites=rewrites)
    except InvalidRequest:
        return
    # a function without parameters has none for Gemini
    assert made.tools[0]["function"].get("parameters", {"type": "object"})["type"] == "object"


@pytest.mark.parametrize("tools", [None, []])
@pytest.mark.parametrize("said", [[], [call("a")], [call("a.b"), call("x" * 80)]])
def test_without_tools_the_short_way_comes_to_the_same_plan(tools, said):
    request = {"messages": [{"role": "user", "content": "hi"}, *said], "tools": tools}
    whole = _plan(request, ToolHistory.of(request["messages"]), Profile(), Ledger())
    assert tool_plan(request, Profile(), Ledger()) == whole


@pytest.mark.parametrize("odd", [{"tools": ""}, {"tools": {}}, {"tools": 0}, {"tool_choice": {}}])
def test_what_is_no_list_of_tools_and_no_choice_is_refused(odd):
    with pytest.raises(InvalidRequest):
        tool_plan({"messages": [], **odd}, Profile(), Ledger())
