"""Calls and results of Anthropic's server tools as text."""

import pytest

from gateway.conversion.requests.messages.server_results import server_text
from tests.conversion.converting import assistant, convert, request_of, text, user


def block(kind, content):
    return {"type": kind, "tool_use_id": "srvtoolu_1", "content": content}


PAGE = {"type": "document", "source": {"type": "text", "data": "body"}}
PAGE_OF_BLOCKS = {"type": "document", "source": {"type": "content", "content": [text("a"), text("b")]}}
RUN = {"stdout": "out", "stderr": "err", "return_code": 1, "content": []}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "é"}},
            '[web_search call: {"query":"é"}]',
        ),
        ({"type": "mcp_tool_use", "name": "f", "server_name": "s", "input": {}}, "[f call: {}]"),
        (
            block(
                "web_search_tool_result", [{"title": "T", "url": "u", "encrypted_content": "x"}, {"url": "v"}]
            ),
            "[web search results]\n- T (u)\n-  (v)",
        ),
        (block("web_search_tool_result", {"error_code": "unavailable"}), "[web search failed: unavailable]"),
        (
            block("web_fetch_tool_result", {"type": "web_fetch_result", "url": "u", "content": PAGE}),
            "[fetched u]\nbody",
        ),
        (
            block(
                "web_fetch_tool_result", {"type": "web_fetch_result", "url": "u", "content": PAGE_OF_BLOCKS}
            ),
            "[fetched u]\na\n\nb",
        ),
        (block("web_fetch_tool_result", {"error_code": "url_too_long"}), "[web fetch failed: url_too_long]"),
        (block("code_execution_tool_result", RUN), "[code execution result, return code 1]\nout\nerr"),
        (
            block("bash_code_execution_tool_result", {**RUN, "return_code": 0, "stderr": ""}),
            "[code execution result, return code 0]\nout",
        ),
        (
            block("text_editor_code_execution_tool_result", {"content": "line"}),
            "[code execution result]\nline",
        ),
        (block("code_execution_tool_result", {"error_code": "x"}), "[code execution failed: x]"),
        (
            block("tool_search_tool_result", {"tool_references": [{"tool_name": "a"}, {"tool_name": "b.c"}]}),
            "[tools found: a, b_c_b476cc5a]",
        ),
        (block("tool_search_tool_result", {"error_code": "x"}), "[tool search failed: x]"),
        (block("advisor_tool_result", {"type": "advisor_result", "text": "do"}), "do"),
        (block("advisor_tool_result", {"type": "advisor_redacted_result"}), ""),
        (block("mcp_tool_result", "out"), "out"),
        (block("mcp_tool_result", [text("a"), text("b")]), "a\n\nb"),
    ],
)
def test_each_block_has_its_text(given, sent):
    assert server_text(given, "any") == sent


KINDS = [
    "server_tool_use",
    "mcp_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "tool_search_tool_result",
    "advisor_tool_result",
    "mcp_tool_result",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [None, 5, "x", [], [5], {}, {"content": 5}, {"tool_references": 5}])
def test_unexpected_shapes_do_not_break_it(kind, content):
    assert isinstance(server_text({"type": kind, "name": content, "content": content}, "any"), str)


def test_server_tools_in_the_history_are_lines_of_the_assistant_and_no_calls():
    outcome = convert(
        request_of(
            "a",
            assistant(
                text("Let me "),
                text("look."),
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
                block("web_search_tool_result", [{"title": "T", "url": "u"}]),
                text("Found."),
            ),
            user("b"),
        )
    )
    assert outcome.messages[1] == {
        "role": "assistant",
        "content": 'Let me look.\n\n[web_search call: {"query":"q"}]\n\n'
        "[web search results]\n- T (u)\n\nFound.",
    }
    assert outcome.codes == ["replaced", "replaced"]
