"""What a real llama.cpp server makes of the schemas that the gateway sends it: a grammar, or a refusal.

    LLAMA_SERVER=http://127.0.0.1:8080 pytest tests/conformance -m llama

The server makes one grammar of all tools of a request before it reads the prompt, so that one token of an
answer is enough. It still reads the tools as a part of the prompt: a slow machine takes some minutes. A
server whose template asks for certain words before it takes tools needs those in ASKED.
"""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.conversion.tools.schema_dialects import llama_cpp
from gateway.conversion.tools.schemas import tool_parameters
from tests.conformance.test_llama import SERVER, pytestmark  # noqa: F401 (marks this module, too)
from tests.conversion.json_schemas import every_keyword, nonsense, schemas
from tests.conversion.tools.test_schema_dialects import ODD, captured

ASKED = "use the tool"


@pytest.fixture(scope="module")
def judge():
    """judge(list of schemas): the words of the refusal, or "" where the server made a grammar of them."""
    with httpx.Client(base_url=SERVER, timeout=300) as client:

        def refusal(parameters):
            tools = [
                {"type": "function", "function": {"name": f"tool_{number}", "parameters": schema}}
                for number, schema in enumerate(parameters)
            ]
            asked = {"messages": [{"role": "user", "content": ASKED}], "max_tokens": 1, "tools": tools}
            answer = client.post("/v1/chat/completions", json={**asked, "tool_choice": "required"})
            return "" if answer.status_code == 200 else answer.text

        yield refusal


@pytest.mark.parametrize("wrong", [{"type": "strin"}, {"$ref": "#/$defs/none"}])
def test_the_judge_finds_the_one_schema_that_is_wrong(judge, wrong):
    right = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert judge([right, right, right]) == ""
    assert judge([right, right, {"type": "object", "properties": {"a": wrong}}])


def test_it_takes_the_tools_of_claude_code_and_odd_ones(judge):
    sent = [llama_cpp(tool_parameters(schema).schema) for schema in [*captured(), *ODD]]
    different = [schema for number, schema in enumerate(sent) if schema not in sent[:number]]
    refused = {}
    for first in range(0, len(different), 4):
        some = different[first : first + 4]
        if words := judge(some):
            refused[words] = [schema for schema in some if judge([schema])]
    assert refused == {}


@pytest.mark.parametrize("kind", [schemas(objects=True), every_keyword(), nonsense()])
def test_it_takes_whatever_schema_a_tool_may_have(judge, kind):
    @settings(max_examples=25, deadline=None)
    @given(some=st.lists(kind, min_size=1, max_size=4))
    def taken(some):
        sent = [llama_cpp(tool_parameters({**schema, "type": "object"}).schema) for schema in some]
        assert judge(sent) == "", sent

    taken()
