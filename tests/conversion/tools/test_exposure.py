"""Which tools the model may see (docs/conversion.md, "Which tools are sent")."""

import pytest

from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.tools.exposure import PLACEHOLDER, ToolHistory, exposed_tools
from gateway.errors import InvalidRequest


def tool(name, **more):
    return {"name": name, "input_schema": {"type": "object"}, **more}


def deferred(name, **more):
    return tool(name, defer_loading=True, **more)


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def system(*blocks):
    return {"role": "system", "content": list(blocks)}


def found(*names):
    references = [{"type": "tool_reference", "tool_name": name} for name in names]
    return user({"type": "tool_result", "tool_use_id": "t1", "content": references})


def change(kind, name):
    return {"type": kind, "tool": {"type": "tool_reference", "name": name}}


def definition(declared):
    return {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": declared}}


def names(tools, *messages, options=None, ledger=None, **request):
    request |= {"tools": tools, "messages": [user({"type": "text", "text": "hi"}), *messages]}
    profile = Profile.merged(options or {})
    history = ToolHistory.of(request["messages"])
    exposed = exposed_tools(request, history, profile, Ledger() if ledger is None else ledger)
    return [each.tool.get("name") for each in exposed]


THREE = [tool("a"), deferred("b"), deferred("c")]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (user({"type": "text", "text": "b"}), ["a"]),
        (found("b"), ["a", "b"]),
        (found("c", "b"), ["a", "b", "c"]),
        (assistant({"type": "tool_use", "id": "t", "name": "c", "input": {}}), ["a", "c"]),
        (
            assistant(
                {
                    "type": "tool_search_tool_result",
                    "tool_use_id": "t",
                    "content": {
                        "type": "tool_search_tool_search_result",
                        "tool_references": [{"type": "tool_reference", "tool_name": "b"}],
                    },
                }
            ),
            ["a", "b"],
        ),
        (
            assistant(
                {"type": "tool_search_tool_result", "tool_use_id": "t", "content": {"error_code": "x"}}
            ),
            ["a"],
        ),
        (system(change("tool_addition", "c")), ["a", "c"]),
    ],
)
def test_a_deferred_tool_is_shown_once_something_refers_to_it(message, shown):
    assert names(THREE, message) == shown


def test_tool_choice_is_a_reference():
    assert names(THREE, tool_choice={"type": "tool", "name": "b"}) == ["a", "b"]


def test_with_expose_every_deferred_tool_is_shown():
    assert names(THREE, options={"deferred_tools": "expose"}) == ["a", "b", "c"]


@pytest.mark.parametrize("kind", ["tool_search_tool_regex_20251119", "tool_search_tool_bm25"])
def test_with_a_search_that_we_cannot_run_every_deferred_tool_is_shown(kind):
    assert names([{"type": kind, "name": "search"}, *THREE]) == ["search", "a", "b", "c"]


def test_when_all_tools_are_deferred_and_none_is_referenced_all_are_shown():
    assert names([deferred("a"), deferred("b")]) == ["a", "b"]
    assert names([deferred("a"), deferred("b")], found("b")) == ["b"]


def test_claude_codes_placeholder_is_never_sent_and_tells_that_the_client_loads_tools_itself():
    assert names([tool("ToolSearch"), deferred(PLACEHOLDER), deferred("mcp__a")]) == ["ToolSearch", "mcp__a"]
    assert names([deferred(PLACEHOLDER)]) == []


@pytest.mark.parametrize(
    ("callers", "shown"),
    [
        (["code_execution_20260120"], []),
        (["direct", "code_execution_20260120"], ["a"]),
        (None, ["a"]),
        ([], []),
    ],
)
def test_a_tool_for_code_execution_only_is_left_out(callers, shown):
    ledger = Ledger()
    assert names([tool("a", allowed_callers=callers)], ledger=ledger) == shown
    assert [entry.code for entry in ledger.entries] == ([] if shown else ["dropped"])


def test_changes_apply_in_order_and_the_last_state_is_sent():
    tools = [tool("a"), tool("b")]
    assert names(tools, system(change("tool_removal", "a"))) == ["b"]
    assert names(tools, system(change("tool_removal", "a")), system(change("tool_addition", "a"))) == [
        "a",
        "b",
    ]
    assert names(tools, system(change("tool_addition", "a"), change("tool_removal", "a"))) == ["b"]


def test_a_definition_adds_a_tool_or_replaces_one_at_its_place():
    new = tool("b", description="new")
    assert names([tool("a")], system(definition(new))) == ["a", "b"]
    assert names([tool("b"), tool("a")], system(definition(deferred("b")))) == ["b", "a"]
    assert names(None, system(definition(new))) == ["b"]


def test_a_defined_tool_can_be_removed_again():
    assert names([tool("a")], system(definition(tool("b"))), system(change("tool_removal", "b"))) == ["a"]


def test_changes_of_a_compacted_range_apply_where_it_stands():
    compaction = {"type": "compaction", "content": "S", "tool_changes": [change("tool_removal", "a"), "?"]}
    assert names([tool("a"), tool("b")], user(compaction)) == ["b"]


def test_mcp_references_are_ignored():
    change = {"type": "tool_addition", "tool": {"type": "mcp_toolset_reference", "server_name": "s"}}
    assert names([tool("a")], system(change)) == ["a"]


def test_tools_without_a_name_survive_changes():
    toolset = {"type": "computer_toolset_20260801"}
    assert names([toolset, {"type": "mcp_toolset"}, tool("a")], system(change("tool_removal", "a"))) == [
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (change("tool_addition", "x"), "messages.1.content.0.tool: tool 'x' not found in provided tools"),
        (change("tool_removal", "x"), "messages.1.content.0.tool: tool 'x' not found in provided tools"),
        ({"type": "tool_addition"}, "messages.1.content.0.tool: Field required"),
        (
            {"type": "tool_addition", "tool": {"type": "tool_definition"}},
            "messages.1.content.0.tool.definition: Field required",
        ),
        (
            {"type": "tool_removal", "tool": {"type": "tool_definition", "definition": {}}},
            "messages.1.content.0.tool: Input tag 'tool_definition' found using 'type' does not match",
        ),
    ],
)
def test_a_change_that_cannot_be_resolved_is_refused(block, message):
    with pytest.raises(InvalidRequest) as refused:
        names([tool("a")], system(block))
    assert refused.value.message.startswith(message)


def test_an_unresolved_reference_carries_its_error_code():
    with pytest.raises(InvalidRequest) as refused:
        names([tool("a")], system(change("tool_addition", "x")))
    assert refused.value.details == {"error_code": "tool_reference_unresolved"}


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ({}, "tools: Input should be a valid list"),
        ([tool("a"), 5], "tools.1: Input should be a valid dictionary"),
        ([tool("a"), tool("b"), tool("a")], "tools: Tool names must be unique."),
        (
            [tool("web_search"), {"type": "web_search_20250305", "name": "web_search"}],
            "tools: Tool names must be unique.",
        ),
    ],
)
def test_a_list_of_the_wrong_shape_is_refused(tools, message):
    with pytest.raises(InvalidRequest) as refused:
        names(tools)
    assert refused.value.message == message


def test_no_tools_at_all_are_no_tools():
    assert names(None) == names([]) == []


def test_calls_of_a_toolset_count_under_the_composed_name():
    call = {"type": "tool_use", "id": "t", "name": "zoom", "toolset_name": "computer", "input": {}}
    assert ToolHistory.of([assistant(call)]).called == {"computer__zoom"}


@pytest.mark.parametrize("name", [["x"], {}, 5, True, [[]]])
@pytest.mark.parametrize("more", [{}, {"defer_loading": True}, {"type": "custom"}])
def test_a_name_that_is_no_string_is_refused_wherever_the_tool_is_declared(name, more):
    declared = tool(name, **more)
    with pytest.raises(InvalidRequest) as refusal:
        names([tool("a"), declared])
    assert refusal.value.message == "tools.1.custom.name: Input should be a valid string"
    with pytest.raises(InvalidRequest) as refusal:
        names([tool("a"), deferred("b")], system(definition(declared)))
    assert refusal.value.message.endswith(".tool.definition.custom.name: Input should be a valid string")
