"""Tools that a result loads stand behind it, and the list in front stays as it was."""

import pytest

from gateway.conversion.tools.exposure import PLACEHOLDER
from tests.conversion.converting import assistant, call, convert, request_of, result, text, user

OPTIONS = {"protocol": "responses", "late_tools": "items", "cache_control": "openai_breakpoint"}


def tool(name, **fields):
    return {"name": name, "description": "d", "input_schema": {"type": "object"}, **fields}


LATE = tool("late", defer_loading=True)
OTHER = tool("other", defer_loading=True)
LOADING = [
    user("a"),
    assistant(call("t1", "search")),
    user(result("t1", [{"type": "tool_reference", "tool_name": "late"}])),
]


def names(body):
    return [entry["name"] for entry in body.get("tools", [])]


def converted(messages, tools, options=OPTIONS):
    return convert(request_of(*messages, tools=tools), options).body


def late_items(body):
    return [
        (place, [entry["name"] for entry in item["tools"]])
        for place, item in enumerate(body["input"])
        if item["type"] == "additional_tools"
    ]


def test_a_loaded_tool_stands_behind_the_result_that_names_it_and_stays_there():
    tools = [tool("search"), LATE, OTHER]
    before = converted(LOADING[:1], tools)
    loaded = converted(LOADING, tools)
    later = converted([*LOADING, assistant(call("t2", "late")), user(result("t2", "x"))], tools)
    assert names(before) == names(loaded) == names(later) == ["search"]
    assert late_items(loaded) == late_items(later) == [(3, ["late"])]
    assert later["input"][: len(loaded["input"])] == loaded["input"]
    (entry,) = loaded["input"][3]["tools"]
    assert entry["type"] == "function" and "strict" in entry
    # no item of tools can carry a breakpoint: the result in front of it does
    assert "prompt_cache_breakpoint" in loaded["input"][2]["output"][-1]


def test_a_tool_that_is_named_twice_is_given_once():
    again = [assistant(call("t2", "search")), user(result("t2", LOADING[2]["content"][0]["content"]))]
    assert late_items(converted([*LOADING, *again], [tool("search"), LATE])) == [(3, ["late"])]


def test_a_client_that_adds_loaded_tools_itself_keeps_its_prefix_too():
    placeholder = tool(PLACEHOLDER, defer_loading=True)
    before = converted(LOADING[:1], [tool("search"), placeholder])
    loaded = converted(LOADING, [tool("search"), placeholder, tool("late")])
    assert names(before) == names(loaded) == ["search"]
    assert late_items(loaded) == [(3, ["late"])]


def test_a_tool_whose_reference_is_gone_is_in_the_list():
    called = [user("a summary"), assistant(call("t9", "late")), user(result("t9", "x"))]
    body = converted(called, [tool("search"), LATE])
    assert (names(body), late_items(body)) == (["search", "late"], [])
    # named in a result that answers no call: it is text, and no place for tools
    orphan = [user(text("a"), result("t7", LOADING[2]["content"][0]["content"]))]
    body = converted(orphan, [tool("search"), LATE])
    assert (names(body), late_items(body)) == (["search", "late"], [])


@pytest.mark.parametrize(
    "options",
    [
        {**OPTIONS, "late_tools": "list"},
        {**OPTIONS, "deferred_tools": "expose"},
        {"late_tools": "items"},
    ],
)
def test_otherwise_loaded_tools_join_the_list(options):
    body = converted(LOADING, [tool("search"), LATE], options)
    assert [entry.get("name") or entry["function"]["name"] for entry in body["tools"]] == ["search", "late"]


def test_a_list_of_late_tools_alone_is_no_list():
    body = converted(LOADING, [LATE, OTHER])
    assert late_items(body) == [(3, ["late"])]
    assert "tools" not in body
