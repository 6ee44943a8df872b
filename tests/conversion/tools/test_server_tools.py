"""Tools that run on Anthropic's servers (docs/conversion.md, "Server tools")."""

import pytest

from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.tools.chat_tools import ToolPlan, tool_plan
from gateway.conversion.tools.server_tools import NO_WEB_SEARCH
from gateway.errors import InvalidRequest

CUSTOM = {"name": "a", "input_schema": {"type": "object", "properties": {}}}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
FORCED = {"type": "tool", "name": "web_search"}
OTHERS = [
    {"type": "web_fetch_20250910", "name": "web_fetch"},
    {"type": "code_execution_20250825", "name": "code_execution"},
    {"type": "mcp_toolset", "mcp_server_name": "s"},
]


def plan(*tools, choice=None, ledger=None, **options):
    request = {"messages": [{"role": "user", "content": "hi"}], "tools": list(tools), "tool_choice": choice}
    return tool_plan(request, Profile.merged(options), Ledger() if ledger is None else ledger)


def refusal(*tools, **more):
    with pytest.raises(InvalidRequest) as refused:
        plan(*tools, **more)
    return refused.value.message


def functions(made):
    return [tool["function"]["name"] for tool in made.tools]


@pytest.mark.parametrize("server_tool", [SEARCH, *OTHERS])
def test_beside_another_tool_a_server_tool_is_dropped(server_tool):
    ledger = Ledger()
    assert functions(plan(server_tool, CUSTOM, ledger=ledger)) == ["a"]
    assert [(entry.code, entry.path) for entry in ledger.entries] == [("dropped", "tools.0")]


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        ([SEARCH], None),
        ([SEARCH], {"type": "auto"}),
        ([SEARCH], {"type": "any"}),
        ([SEARCH], FORCED),
        ([SEARCH, CUSTOM], FORCED),
    ],
)
def test_web_search_alone_or_forced_is_answered_by_the_gateway(tools, choice):
    ledger = Ledger()
    assert plan(*tools, choice=choice, ledger=ledger) == ToolPlan(local_answer=NO_WEB_SEARCH)
    assert [entry.code for entry in ledger.entries] == ["replaced"]


def test_web_search_alone_that_must_not_be_called_is_dropped():
    assert plan(SEARCH, choice={"type": "none"}) == ToolPlan()


@pytest.mark.parametrize("server_tool", OTHERS)
def test_other_server_tools_alone_are_refused(server_tool):
    assert refusal(server_tool).startswith(f"tools.0: Input tag '{server_tool['type']}' found using 'type'")


def test_another_server_tool_forced_is_refused():
    message = refusal(CUSTOM, OTHERS[0], choice={"type": "tool", "name": "web_fetch"})
    assert message.startswith("tools.1: Input tag 'web_fetch_20250910'")


@pytest.mark.parametrize("tools", [[SEARCH], [SEARCH, CUSTOM], [OTHERS[0], CUSTOM]])
def test_with_reject_a_server_tool_is_always_refused(tools):
    assert refusal(*tools, server_tools="reject").startswith(f"tools.0: Input tag '{tools[0]['type']}'")


@pytest.mark.parametrize("server_tool", [SEARCH, *OTHERS, {"type": "new_thing_20270101", "name": "n"}])
def test_with_drop_a_server_tool_is_always_dropped(server_tool):
    assert plan(server_tool, server_tools="drop") == ToolPlan()
    assert functions(plan(server_tool, CUSTOM, server_tools="drop")) == ["a"]


def test_a_choice_of_a_dropped_tool_is_refused():
    message = refusal(SEARCH, CUSTOM, choice=FORCED, server_tools="drop")
    assert message == "tool_choice: tool 'web_search' not found in provided tools"


@pytest.mark.parametrize("option", ["auto", "reject", "drop"])
def test_the_advisor_is_refused_in_the_words_claude_code_knows(option):
    message = refusal(CUSTOM, {"type": "advisor_20260301", "name": "advisor"}, server_tools=option)
    assert message.startswith(
        "tools.1: Input tag 'advisor_20260301' found using 'type' does not match any of the expected tags: '"
    )


@pytest.mark.parametrize("kind", ["browser_toolset_20260801", "something_new", ""])
def test_an_unknown_type_is_refused(kind):
    assert refusal(CUSTOM, {"type": kind}).startswith(f"tools.1: Input tag '{kind}' found using 'type'")


@pytest.mark.parametrize(
    "kind", ["tool_search_tool_regex_20251119", "tool_search_tool_bm25_20251119", "tool_search_tool_regex"]
)
@pytest.mark.parametrize("option", ["auto", "reject", "drop"])
def test_a_tool_search_is_removed_silently(kind, option):
    ledger = Ledger()
    hidden = {**CUSTOM, "defer_loading": True}
    assert functions(plan({"type": kind, "name": "s"}, hidden, ledger=ledger, server_tools=option)) == ["a"]
    assert not ledger


PLACE = {"type": "approximate", "city": "Köln", "country": "DE", "region": None}


@pytest.mark.parametrize("option", ["auto", "reject", "drop"])
@pytest.mark.parametrize(
    ("mapping", "tool", "body", "tools"),
    [
        ("web_search_options", SEARCH, {"web_search_options": {"search_context_size": "medium"}}, []),
        (
            "web_search_options",
            {**SEARCH, "user_location": PLACE},
            {
                "web_search_options": {
                    "search_context_size": "medium",
                    "user_location": {
                        "type": "approximate",
                        "approximate": {"city": "Köln", "country": "DE"},
                    },
                }
            },
            [],
        ),
        ("openrouter_plugin", SEARCH, {"plugins": [{"id": "web", "max_results": 5}]}, []),
        (
            "responses_tool",
            {**SEARCH, "allowed_domains": ["a.org"], "user_location": PLACE},
            {},
            [
                {
                    "type": "web_search",
                    "filters": {"allowed_domains": ["a.org"]},
                    "user_location": {"type": "approximate", "city": "Köln", "country": "DE"},
                }
            ],
        ),
    ],
)
def test_a_mapped_web_search_is_done_by_the_provider(mapping, tool, body, tools, option):
    protocol = "responses" if mapping == "responses_tool" else "chat"
    made = plan(tool, web_search=mapping, server_tools=option, protocol=protocol)
    assert (made.body, made.tools, made.web_search_active, made.local_answer) == (body, tools, True, None)


def test_the_responses_tool_needs_the_responses_protocol():
    assert plan(SEARCH, web_search="responses_tool").local_answer == NO_WEB_SEARCH


def test_a_forced_search_leaves_no_dangling_choice():
    ledger = Ledger()
    made = plan(SEARCH, CUSTOM, choice=FORCED, ledger=ledger, web_search="web_search_options")
    assert made.tool_choice is None
    assert made.web_search_active
    assert [entry.code for entry in ledger.entries] == ["replaced"]
    over = plan(SEARCH, choice=FORCED, web_search="responses_tool", protocol="responses")
    assert over.tool_choice == {"type": "web_search"}


def test_no_search_is_switched_on_when_no_call_is_wanted():
    made = plan(SEARCH, CUSTOM, choice={"type": "none"}, web_search="web_search_options")
    assert (made.body, made.web_search_active, functions(made)) == ({}, False, ["a"])


def test_domain_lists_the_provider_cannot_take_are_noted():
    ledger = Ledger()
    tool = {**SEARCH, "allowed_domains": ["a.org"], "blocked_domains": []}
    plan(tool, ledger=ledger, web_search="openrouter_plugin")
    assert [entry.path for entry in ledger.entries] == ["tools.0.allowed_domains"]
