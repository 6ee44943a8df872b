"""What a request is, for the rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client_protocol.purpose import Purpose
from gateway.conversion.requests.token_count import plain_input_tokens
from gateway.routing.facts import (
    Attached,
    Client,
    Facts,
    Needs,
    RequestShape,
    as_json,
    attached_to,
    client_of,
    named_headers,
    shape_of,
    tool_names,
)

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": ""}}
NOTE = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}


def asked(*blocks):
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def result(*content):
    return {"type": "tool_result", "tool_use_id": "a", "content": list(content)}


@pytest.mark.parametrize(
    ("request_body", "found"),
    [
        (asked(IMAGE), Attached(images=True)),
        (asked(result(IMAGE)), Attached(images=True)),
        (asked(PDF), Attached(pdfs=True)),
        (asked(result(PDF), IMAGE), Attached(True, True)),
        (asked(NOTE, {"type": "text", "text": '"type":"image"'}), Attached()),
        ({}, Attached()),
        ({"messages": 3}, Attached()),
        ({"messages": [None, "x", {"content": ["a", None, {"type": []}]}]}, Attached()),
    ],
)
def test_images_and_pdfs_are_seen_in_messages_and_in_results_of_tools(request_body, found):
    assert attached_to(request_body) == found


@pytest.mark.parametrize(
    ("request_body", "shape"),
    [
        ({}, RequestShape()),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, RequestShape(True, "high")),
        (
            {"thinking": {"type": "disabled"}, "stream": True, "max_tokens": 7},
            RequestShape(streamed=True, max_tokens=7),
        ),
        ({"tools": [{"name": "a"}, {"type": "web_search_20260209"}]}, RequestShape(tools=2, web_search=True)),
        ({"output_config": {"format": {"type": "json_schema"}}}, RequestShape(structured_output=True)),
        ({"output_format": {"type": "json_schema"}}, RequestShape(structured_output=True)),
        ({"thinking": 3, "tools": {}, "output_config": [], "max_tokens": "9", "stream": 1}, RequestShape()),
        ({"max_tokens": True, "tools": [None, {"type": 4}]}, RequestShape(tools=2)),
    ],
)
def test_the_shape_of_a_request_is_read_from_its_top_level(request_body, shape):
    assert shape_of(request_body) == shape


def test_tools_are_known_by_their_names():
    assert tool_names({"tools": [{"name": "a"}, {"name": 4}, None, {"name": "b"}]}) == {"a", "b"}
    assert tool_names({"tools": "x"}) == tool_names({}) == frozenset()


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        ("claude-cli/2.1.332 (external, cli)", Client("claude-cli", (2, 1, 332))),
        ("OpenAI/Python 1.2", Client("OpenAI")),
        ("x/2.1.0-beta.3", Client("x", (2, 1, 0))),
        ("curl", Client("curl")),
        ("", Client()),
        ("a/" + "9" * 40, Client("a", (999_999_999,))),
    ],
)
def test_the_client_is_the_first_product_of_its_user_agent(agent, client):
    assert client_of(agent) == client


def test_what_holds_is_stored_and_of_tools_only_the_names_that_rules_ask_about():
    facts = Facts(
        purpose=Purpose(agent_type="Explore"),
        input_tokens=70_000,
        pdfs=False,
        thinking=True,
        tools=3,
        tool_names=frozenset({"mcp__git__log", "Bash", "WebSearch"}),
        headers={"x-team": "red"},
    )
    assert as_json(facts, Needs(tools=("mcp__*",))) == {
        "input_tokens": 70_000,
        "thinking": True,
        "tools": 3,
        "tool_names": ["mcp__git__log"],
        "header": {"x-team": "red"},
    }


def test_of_headers_only_the_named_ones_are_looked_at_and_no_more_than_a_bound_of_each():
    found = named_headers({"x-team": "r" * 500, "cookie": "secret"}, ("x-team", "x-other"))
    assert found == {"x-team": "r" * 200}


# requests of any shape, with names that the walks look for in all the wrong places
WORDS = st.sampled_from(
    [
        "image",
        "document",
        "tool_result",
        "text",
        "type",
        "content",
        "source",
        "base64",
        "user",
        "\ud83d",
        "\x00",
    ]
)
NAMES = st.sampled_from(
    ["type", "content", "source", "name", "role", "text", "messages", "tools", "format", "effort", "input"]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
REQUESTS = st.dictionaries(
    st.sampled_from(
        ["messages", "tools", "system", "thinking", "output_config", "output_format", "max_tokens", "stream"]
    ),
    VALUES,
)


@given(REQUESTS)
def test_a_request_of_any_shape_has_facts_and_a_size(request_body):
    request_body = {"model": "m", **request_body}
    assert attached_to(request_body) is not None
    assert shape_of(request_body).tools >= 0
    assert tool_names(request_body) is not None
    assert plain_input_tokens(request_body) >= 1
