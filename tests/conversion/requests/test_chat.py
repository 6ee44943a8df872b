"""The request half as a whole: vectors, recorded requests, context, ledger, the last word of the profile."""

import json
from pathlib import Path

import pytest

from gateway.conversion.context import ClientFacts
from gateway.errors import InvalidRequest
from tests.conversion import openai_types, vectors
from tests.conversion.converting import (
    IMAGE,
    assistant,
    call,
    convert,
    refusal_of,
    request_of,
    result,
    system,
    text,
    thinking,
    user,
)
from tests.conversion.legal_chat import violations

CAPTURES = Path(__file__).parent.parent.parent / "captures"
RECORDED = {
    path.name.split(".")[0]: json.loads(path.read_text()) for path in sorted(CAPTURES.glob("*.request.json"))
}
ANSWERED_LOCALLY = {"24-web-search-server-tool"}
REFUSED = {"47-sdk-python-thread-create"}
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}

# the kinds of provider that differ most
PROFILES = {
    "default": {},
    "openai": {
        "max_tokens_field": "max_completion_tokens",
        "reasoning": "effort",
        "efforts": ["minimal", "low", "medium", "high"],
        "sampling": "drop",
        "system_role": "developer",
        "stop": "local",
        "pdf": "file",
        "user_field": "safety_identifier",
        "session_key": "prompt_cache_key",
    },
    "strict template": {"mid_system": "user", "reasoning": "chat_template_kwargs", "window_check": "fit"},
    "mistral": {
        "mid_system": "user",
        "assistant_after_tool": True,
        "tool_id_format": "mistral9",
        "tool_choice": "no_named",
        "reasoning_replay": "content_parts",
        "user_field": "drop",
    },
    "no vision": {"images": "text", "tool_choice": "auto_only", "parallel_tool_calls": "drop"},
    "thinks in details": {
        "reasoning": "openrouter",
        "reasoning_replay": "reasoning_details",
        "cache_control": "keep",
    },
    "breakpoints": {"cache_control": "openai_breakpoint", "max_tools": 5},
}
ADDED = {
    "extra_fields": ["chat_template_kwargs", "reasoning"],
    "message_fields": ["reasoning", "reasoning_details", "reasoning_content"],
    "part_types": ["thinking"],
}


@pytest.mark.parametrize("name", vectors.load("r[0-9]*.json"))
def test_the_vector(name):
    vector = vectors.load(f"{name}.json")[name]
    headers = vector.get("headers", {})
    client = ClientFacts("1", headers.get("x-claude-code-session-id"), headers.get("anthropic-version"))
    if "expect_error" in vector:
        expected = vector["expect_error"]
        with pytest.raises(InvalidRequest) as caught:
            convert(vector["request"], vector["options"], client)
        assert (caught.value.status, caught.value.error_type) == (expected["status"], expected["type"])
        assert caught.value.message == expected.get("message", caught.value.message)
        assert expected.get("message_contains", "") in caught.value.message
        return
    outcome = convert(vector["request"], vector["options"], client)
    assert vectors.differences(vector.get("expect_upstream", {}), outcome.body or {}) == []
    assert vectors.differences(vector.get("expect_response", {}), outcome.message or {}) == []
    assert [p for p in vector.get("expect_absent", []) if vectors.exists(outcome.body, p)] == []


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", sorted(RECORDED.keys() - ANSWERED_LOCALLY - REFUSED))
def test_a_recorded_request_becomes_a_legal_one(name, profile):
    request = {"max_tokens": 1024, **RECORDED[name]}
    outcome = convert(request, PROFILES[profile], ClientFacts("1", "s-1", "2023-06-01"))
    assert violations(outcome.body, **ADDED) == []
    if "replay" not in str(PROFILES[profile]):
        openai_types.accept(outcome.body)
    for leftover in (
        "x-anthropic-billing-header",
        "context_management",
        "defer_loading",
        "thinking_20251015",
    ):
        assert leftover not in json.dumps(outcome.body)


def test_the_recorded_web_search_is_answered_without_an_upstream():
    outcome = convert(RECORDED["24-web-search-server-tool"])
    assert outcome.body is None
    assert outcome.message["stop_reason"] == "end_turn"
    assert outcome.message["content"][0]["type"] == "text"


def test_the_recorded_thread_is_refused_so_that_the_sdk_sends_its_history():
    with pytest.raises(InvalidRequest) as caught:
        convert(RECORDED["47-sdk-python-thread-create"])
    assert caught.value.details["error_code"] == "thread_unsupported_request"


def test_the_simplest_request_is_converted_without_loss():
    outcome = convert(request_of("hi"))
    assert outcome.body == {
        "model": "claude-test",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "hi"}],
    }
    assert outcome.entries == []


@pytest.mark.parametrize(
    ("options", "fields", "sent"),
    [
        ({}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream_usage": False}, {"stream": True}, {"stream": True}),
        (
            {"stream_obfuscation": False},
            {"stream": True},
            {"stream_options": {"include_usage": True, "include_obfuscation": False}},
        ),
        # a server that refuses the field refuses it with other options too
        ({"stream_obfuscation": False, "stream_usage": False}, {"stream": True}, {"stream": True}),
        ({"stream_obfuscation": False}, {}, {}),
        ({"verbosity": "low"}, {}, {"verbosity": "low"}),
        ({}, {"stream": False}, {}),
        ({"upstream_model": "up"}, {}, {"model": "up"}),
    ],
)
def test_stream_and_model_follow_the_request_and_the_profile(options, fields, sent):
    body = convert(request_of(**fields), options).body
    assert {name: body[name] for name in sent} == sent
    assert ("stream" in body) is bool(fields.get("stream"))
    assert ("stream_options" in body) is ("stream_options" in sent)


def test_max_tokens_zero_warms_a_cache_without_an_upstream():
    outcome = convert(request_of(max_tokens=0, context_management={"edits": []}))
    assert outcome.body is None
    assert (outcome.message["content"], outcome.message["stop_reason"]) == ([], "max_tokens")
    assert outcome.message["context_management"] == {"applied_edits": []}


@pytest.mark.parametrize("servers", [None, []])
def test_no_mcp_servers_are_ignored(servers):
    assert convert(request_of(mcp_servers=servers)).entries == []


def test_mcp_servers_are_refused_or_dropped():
    request = request_of(mcp_servers=[{"type": "url", "url": "https://e.com", "name": "x"}])
    assert refusal_of(request) == "mcp_servers: the MCP connector is not supported by this gateway"
    assert convert(request, {"server_tools": "drop"}).codes == ["dropped"]


DROPPED = {
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "container": "c_1",
    "fallbacks": [{"model": "x"}],
    "inference_geo": "us",
    "user_profile_id": "u",
    "workspace_id": "w",
    "foo": 1,
}


@pytest.mark.parametrize("name", DROPPED)
def test_a_field_without_a_place_is_dropped_into_the_ledger(name):
    outcome = convert(request_of(**{name: DROPPED[name]}))
    assert outcome.body.keys() == {"model", "messages", "max_tokens"}
    assert [(code, path) for code, path, _ in outcome.entries] == [("dropped", name)]


def test_nulls_and_betas_leave_no_trace():
    outcome = convert(request_of(**dict.fromkeys([*DROPPED, "thread", "compaction"]), betas=["x"]))
    assert outcome.body.keys() == {"model", "messages", "max_tokens"}
    assert outcome.entries == []


def test_a_task_budget_is_dropped_into_the_ledger():
    assert convert(request_of(output_config={"task_budget": {"type": "tokens"}})).entries[0][1] == (
        "output_config.task_budget"
    )


def test_what_claude_code_sends_of_late_does_not_leak_upstream():
    outcome = convert(
        request_of(
            user(text("a", cache_control={"type": "ephemeral"}, foo=1)),
            thinking={"type": "adaptive", "display": "omitted", "block_binding": 1},
            output_config={"effort": "max", "task_budget": 1},
            **DROPPED,
        ),
        {"reasoning": "effort"},
    )
    assert outcome.body == {
        "model": "claude-test",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "a"}],
        "reasoning_effort": "high",
    }


def test_the_constant_fields_of_the_profile_come_last_and_win():
    options = {
        "reasoning": "thinking_object",
        "extra_body": {"thinking": {"clear_thinking": False}, "max_tokens": 5, "stop": None, "a": {"b": [1]}},
    }
    body = convert(request_of(thinking={"type": "adaptive"}), options).body
    assert body["thinking"] == {"type": "enabled", "clear_thinking": False}
    assert (body["max_tokens"], body["stop"], body["a"]) == (5, None, {"b": [1]})


@pytest.mark.parametrize(("given", "sent"), [(True, False), (False, None), (None, None)])
def test_parallel_calls_are_only_mentioned_to_switch_them_off(given, sent):
    choice = {"type": "any", "disable_parallel_tool_use": given}
    body = convert(request_of(tools=[TOOL], tool_choice=choice)).body
    assert body.get("parallel_tool_calls") is sent


def test_a_schema_of_an_mcp_server_passes_a_strict_judge():
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "x",
        "propertyNames": {"pattern": "^a"},
        "required": None,
    }
    for options in PROFILES.values():
        body = convert(request_of(tools=[{"name": "mcp__s__t", "input_schema": schema}]), options).body
        assert violations(body, **ADDED) == []
        parameters = body["tools"][0]["function"]["parameters"]
        assert parameters == {"type": "object", "properties": {}, "propertyNames": {"pattern": "^a"}}


def test_texts_of_tools_and_formats_join_the_system_prompt():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    request = request_of(system="S", output_config={"format": {"type": "json_schema", "schema": schema}})
    body = convert(request, {"json_schema": "object"}).body
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["content"].startswith("S\n\n")
    assert '"a"' in body["messages"][0]["content"]


def test_the_context_tells_the_answer_what_it_must_know():
    request = request_of(
        max_tokens=500_000,
        stop_sequences=["x"],
        thinking={"type": "adaptive", "display": "omitted"},
        context_management={},
        tools=[{**TOOL, "name": "a.b"}],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    )
    context = convert(request, {"max_output_tokens": 32_000, "upstream_model": "up"}).context
    assert (context.model, context.profile.upstream_model, context.max_tokens) == (
        "claude-test",
        "up",
        32_000,
    )
    assert (context.native_stops, context.local_stops) == (("x",), ())
    assert (context.thinking_requested, context.thinking_omitted) == (True, True)
    assert context.report_context_management is True
    assert list(context.tools.original_names.values()) == ["a.b"]
    assert context.tools.single_call is True
    assert context.estimated_input_tokens > 0
    assert (context.nullable_paths, context.prefill, context.web_search_active) == (None, None, False)


def test_a_repeated_loss_is_one_entry_with_its_first_place_and_number():
    turns = [message for n in range(300) for message in (f"{n}", assistant(thinking("x"), "y"))]
    outcome = convert(request_of(*turns, "end"))
    assert outcome.entries == [
        ("dropped", "messages.1.content.0", "thinking: the provider wants none back (300 times)")
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            [user(text("a", cache_control={"type": "ephemeral", "ttl": "2h"})), user({"type": "foo"})],
            "cache_control",
        ),
        ([user({"type": "foo"}), user(text("a", cache_control={"type": "ephemeral", "ttl": "2h"}))], "foo"),
    ],
)
def test_of_two_mistakes_the_first_in_the_document_is_told(first, second):
    assert second in refusal_of(request_of(*first))


def test_a_long_session_of_everything_is_legal():
    rounds = [
        message
        for n in range(20)
        for message in (
            f"question {n}",
            assistant(thinking("hmm"), f"answer {n}", call(f"t{n}"), call(f"t{n}")),
            system("reminder"),
            user("late", result(f"t{n}", [text("x"), IMAGE]), result("nobody")),
        )
    ]
    for options in PROFILES.values():
        assert violations(convert(request_of(*rounds, tools=[TOOL]), options).body, **ADDED) == []
