"""A Messages request for a provider that speaks the Messages API."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.anthropic.request import passed_request
from gateway.conversion.context import ClientFacts
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.provider_state import id_with, signature
from tests.conversion.converting import assistant, call, new_ids, request_of, result, text, thinking
from tests.conversion.converting import user as said_by_user

CAPTURES = sorted((Path(__file__).parent.parent.parent / "captures").glob("*.request.json"))
PASS = {"protocol": "anthropic", "provider": "p1", "upstream_model": "claude-up"}
OURS = signature({"p": "p1", "m": "m", "ec": "x"})[0]


def passed(request, headers=None, query="", **options):
    before, ledger = copy.deepcopy(request), Ledger()
    facts = ClientFacts(headers=headers or {}, query=query)
    converted = passed_request(request, Profile.merged({**PASS, **options}), facts, new_ids(), ledger)
    assert request == before, "the request was changed"
    return converted, [tuple(entry) for entry in ledger.entries]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name.split(".")[0])
def test_a_recorded_request_passes_unchanged_but_for_the_model(capture):
    request = json.loads(capture.read_text())
    request.setdefault("model", "claude-test")
    converted, entries = passed(request)
    assert converted.body == {**request, "model": "claude-up"}
    assert list(converted.body) == list(request)
    assert entries == []


def test_without_an_upstream_model_the_asked_one_is_sent():
    assert passed(request_of(), upstream_model=None)[0].body["model"] == "claude-test"


def test_fields_blocks_and_tools_that_nobody_knows_pass():
    request = request_of(
        said_by_user({"type": "hologram", "id": 7}), future={"a": [1]}, tools=[{"type": "x_2031"}]
    )
    assert passed(request)[0].body == {**request, "model": "claude-up"}


def test_thinking_that_the_gateway_signed_is_taken_out_and_foreign_thinking_stays():
    foreign = thinking("b", "EqQBCkYIBBgC")
    turn = assistant(thinking("a", OURS), foreign, {"type": "redacted_thinking", "data": OURS}, text("c"))
    converted, entries = passed(request_of("go", turn, "on"))
    assert converted.body["messages"][1]["content"] == [foreign, text("c")]
    note = "thinking of another provider (2 times)"
    assert entries == [("dropped", "messages.1.content.0", note)]


def test_a_turn_of_nothing_but_such_thinking_is_removed():
    converted, _ = passed(request_of("go", assistant(thinking("a", OURS), thinking("b", OURS)), "on"))
    assert [message["role"] for message in converted.body["messages"]] == ["user", "user"]


def test_opaque_data_is_cut_off_ids_of_calls_and_results():
    marked = id_with("call_1", {"p": "gemini", "x": {"a": 1}})
    converted, _ = passed(request_of("go", assistant(call(marked)), said_by_user(result(marked, "1"))))
    _, turn, answer = converted.body["messages"]
    assert turn["content"][0]["id"] == answer["content"][0]["tool_use_id"] == "call_1"


def test_headers_of_the_api_pass_and_credentials_do_not():
    headers = {
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "a-1,b-2,,unknown",
        "anthropic-workspace-id": "w",
        "anthropic-dangerous-direct-browser-access": "true",
        "x-claude-code-session-id": "s",
        "idempotency-key": "i",
        "user-agent": "claude-cli/2.1",
        "x-app": "cli",
        "x-api-key": "secret",
        "authorization": "Bearer secret",
        "cookie": "c",
        "host": "gateway",
        "content-length": "1",
        "accept-encoding": "br",
        "x-forwarded-for": "1.2.3.4",
        "x-stainless-os": "Linux",
    }
    converted, _ = passed(request_of(), headers, "beta=true")
    assert converted.headers == {
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "a-1,b-2,,unknown",
        "anthropic-workspace-id": "w",
        "x-claude-code-session-id": "s",
        "idempotency-key": "i",
        "user-agent": "claude-cli/2.1",
        "x-app": "cli",
    }
    assert converted.query == "beta=true"


def test_a_client_that_names_no_version_gets_the_oldest():
    assert passed(request_of())[0].headers == {"anthropic-version": "2023-06-01"}


def test_the_input_is_estimated_for_the_time_before_the_provider_tells():
    small = passed(request_of("hi"))[0].context.estimated_input_tokens
    assert 5 <= small <= 20
    odd = request_of(said_by_user({"type": "hologram", "data": "x" * 4000}))
    assert passed(odd)[0].context.estimated_input_tokens > 1000
    # a rough estimate teaches nothing
    assert passed(odd)[0].context.input_counts is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["gw1.x", "a_gw1_b", "thinking", "tool_use"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "id", "content", "signature", "role"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(ANYTHING, ANYTHING)
def test_a_request_of_any_shape_passes_because_the_provider_judges_it(messages, system):
    request = {"model": "m", "messages": messages, "system": system, "tools": messages}
    body = passed(request)[0].body
    assert (body["model"], body["system"]) == ("claude-up", system)
