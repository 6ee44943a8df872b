"""Anthropic-defined client tools (docs/conversion.md, "Client tools")."""

import pytest
from jsonschema import Draft202012Validator

from gateway.conversion.tools.client_tools import client_tools

POINT = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
SCREEN = {"display_width_px": 1024, "display_height_px": 768}


def only(kind, **more):
    (found,) = client_tools({"type": kind, **more})
    return found


def properties(tool):
    return set(tool.parameters["properties"])


def actions(tool, name="action"):
    return tool.parameters["properties"][name]["enum"]


@pytest.mark.parametrize(
    ("kind", "name", "required"),
    [
        ("bash_20241022", "bash", None),
        ("bash_20250124", "bash", None),
        ("bash_20991231", "bash", None),
        ("text_editor_20241022", "str_replace_editor", ["command", "path"]),
        ("text_editor_20250124", "str_replace_editor", ["command", "path"]),
        ("text_editor_20250429", "str_replace_based_edit_tool", ["command", "path"]),
        ("text_editor_20250728", "str_replace_based_edit_tool", ["command", "path"]),
        ("text_editor_20991231", "str_replace_based_edit_tool", ["command", "path"]),
        ("computer_20241022", "computer", ["action"]),
        ("computer_20250124", "computer", ["action"]),
        ("computer_20251124", "computer", ["action"]),
        ("memory_20250818", "memory", ["command"]),
    ],
)
def test_each_type_is_one_function(kind, name, required):
    tool = only(kind, **SCREEN)
    assert tool.name == name
    assert tool.parameters.get("required") == required
    assert tool.description
    assert tool.toolset is None
    Draft202012Validator.check_schema(tool.parameters)


def test_bash_takes_a_command_or_a_restart():
    assert only("bash_20250124").parameters["properties"] == {
        "command": {"type": "string"},
        "restart": {"type": "boolean"},
    }


def test_only_the_older_editors_undo():
    old, new = only("text_editor_20250124"), only("text_editor_20250728")
    assert actions(old, "command") == ["view", "create", "str_replace", "insert", "undo_edit"]
    assert actions(new, "command") == ["view", "create", "str_replace", "insert"]
    assert properties(new) == {
        "command", "path", "file_text", "old_str", "new_str", "insert_line", "insert_text", "view_range",
    }  # fmt: skip
    assert new.parameters["properties"]["view_range"] == POINT


def test_the_limit_of_the_editor_is_told_in_words():
    assert "at most 4000 characters" in only("text_editor_20250728", max_characters=4000).description


def test_the_computer_learns_more_with_each_version():
    first, second, third = (
        only(f"computer_{date}", **SCREEN) for date in ("20241022", "20250124", "20251124")
    )
    assert len(actions(first)) == 10
    assert set(actions(second)) - set(actions(first)) == {
        "left_mouse_down", "left_mouse_up", "scroll", "hold_key", "triple_click", "wait",
    }  # fmt: skip
    assert properties(first) == {"action", "text", "coordinate"}
    assert properties(second) - properties(first) == {
        "scroll_direction", "scroll_amount", "duration", "start_coordinate",
    }  # fmt: skip
    assert third.parameters == second.parameters
    assert "1024x768" in first.description


def test_zoom_comes_with_the_newest_version_when_it_is_enabled():
    zooming = only("computer_20251124", enable_zoom=True, **SCREEN)
    assert actions(zooming)[-1] == "zoom"
    assert zooming.parameters["properties"]["region"] == {**POINT, "minItems": 4, "maxItems": 4}
    assert "zoom" not in actions(only("computer_20250124", enable_zoom=True, **SCREEN))


def test_memory_has_its_six_commands():
    tool = only("memory_20250818")
    assert actions(tool, "command") == ["view", "create", "str_replace", "insert", "delete", "rename"]
    assert {"old_path", "new_path", "insert_line", "view_range"} <= properties(tool)


def test_a_toolset_is_a_function_for_each_member_that_is_enabled():
    members = client_tools(
        {"type": "computer_toolset_20260801", "configs": {"zoom": {"enabled": False}, "key": None}}
    )
    assert len(members) == 16
    assert all(tool.name == f"computer__{tool.toolset[0]}" for tool in members)
    assert {tool.toolset[1] for tool in members} == {"computer"}
    assert "computer__zoom" not in {tool.name for tool in members}
    for tool in members:
        Draft202012Validator.check_schema(tool.parameters)


@pytest.mark.parametrize(
    ("member", "required", "optional"),
    [
        ("key", {"text"}, {"repeat"}),
        ("hold_key", {"text", "duration"}, set()),
        ("type", {"text"}, set()),
        ("cursor_position", set(), set()),
        ("mouse_move", {"coordinate"}, set()),
        ("left_mouse_down", set(), set()),
        ("left_mouse_up", set(), set()),
        ("left_click", set(), {"coordinate", "text"}),
        ("right_click", set(), {"coordinate", "text"}),
        ("middle_click", set(), {"coordinate", "text"}),
        ("double_click", set(), {"coordinate", "text"}),
        ("triple_click", set(), {"coordinate", "text"}),
        ("left_click_drag", {"start_coordinate", "coordinate"}, {"text"}),
        ("scroll", {"scroll_direction", "scroll_amount"}, {"coordinate", "text"}),
        ("wait", {"duration"}, set()),
        ("screenshot", set(), set()),
        ("zoom", {"region"}, set()),
    ],
)
def test_members_of_the_computer_toolset(member, required, optional):
    tools = {tool.toolset[0]: tool for tool in client_tools({"type": "computer_toolset_20260801"})}
    assert len(tools) == 17
    assert set(tools[member].parameters.get("required", [])) == required
    assert properties(tools[member]) == required | optional


@pytest.mark.parametrize(
    "kind",
    ["custom", "browser_toolset_20260801", "bash", "computer_", "bash_x", "web_search_20250305", None, 5],
)
def test_other_types_are_not_in_the_table(kind):
    assert client_tools({"type": kind}) is None
