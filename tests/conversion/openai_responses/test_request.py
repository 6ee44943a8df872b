"""A Messages request as a request of the Responses API."""

import json
from pathlib import Path

import pytest

from gateway.conversion.context import ClientFacts
from gateway.conversion.openai_responses.request import fitted
from gateway.conversion.profile import Profile
from tests.conversion import openai_types
from tests.conversion.converting import (
    IMAGE,
    PIXEL,
    assistant,
    call,
    convert,
    refusal_of,
    request_of,
    result,
    system,
    text,
)
from tests.conversion.converting import user as said_by_user
from tests.conversion.legal_responses import violations

CAPTURES = Path(__file__).parent.parent.parent / "captures"
RECORDED = {
    path.name.split(".")[0]: json.loads(path.read_text()) for path in sorted(CAPTURES.glob("*.request.json"))
}
ANSWERED_LOCALLY = {"24-web-search-server-tool"}
REFUSED = {"47-sdk-python-thread-create"}
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
RESPONSES = {"protocol": "responses"}
OPENAI = {
    **RESPONSES,
    "system_role": "developer",
    "reasoning": "effort",
    "efforts": ["low", "medium", "high", "xhigh"],
    "sampling": "drop_thinking",
    "pdf": "file",
    "max_tools": 128,
    "user_field": "safety_identifier",
    "session_key": "prompt_cache_key",
}
PROFILES = {
    "default": RESPONSES,
    "openai": OPENAI,
    "openai with breakpoints": {**OPENAI, "cache_control": "openai_breakpoint"},
    "openai searching": {**OPENAI, "web_search": "responses_tool", "assistant_phase": True},
    "local server": {
        **RESPONSES,
        "mid_system": "user",
        "reasoning": "chat_template_kwargs",
        "images": "text",
    },
}


def body_of(request, **options):
    return convert(request, {**RESPONSES, **options}).body


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", sorted(RECORDED.keys() - ANSWERED_LOCALLY - REFUSED))
def test_a_recorded_request_becomes_one_that_the_openai_package_and_a_strict_provider_take(name, profile):
    request = {"max_tokens": 1024, **RECORDED[name]}
    outcome = convert(request, PROFILES[profile], ClientFacts("1", "s-1", "2023-06-01"))
    assert violations(outcome.body) == []
    openai_types.accept_response(outcome.body)
    for leftover in ("x-anthropic-billing-header", "context_management", "defer_loading", "cache_control"):
        assert leftover not in json.dumps(outcome.body)


def test_the_recorded_web_search_is_done_by_the_provider_where_it_can():
    outcome = convert(RECORDED["24-web-search-server-tool"], PROFILES["openai searching"])
    assert violations(outcome.body) == []
    openai_types.accept_response(outcome.body)
    assert outcome.body["tools"] == [{"type": "web_search"}]
    only = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}
    assert outcome.body["tool_choice"] == only
    assert "web_search_call.action.sources" in outcome.body["include"]
    assert convert(RECORDED["24-web-search-server-tool"], OPENAI).body is None


def test_nothing_is_stored_and_nothing_stored_is_referred_to():
    body = body_of(request_of(), reasoning="effort")
    assert body["store"] is False
    assert body["include"] == ["reasoning.encrypted_content"]
    assert "previous_response_id" not in body


def test_a_model_that_does_not_reason_is_asked_for_no_reasoning():
    body = body_of(request_of(thinking={"type": "adaptive"}, output_config={"effort": "high"}))
    assert body.keys().isdisjoint({"reasoning", "include"})


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({}, None),
        ({"thinking": {"type": "adaptive"}}, {"summary": "auto"}),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, None),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 10000}, "max_tokens": 20000},
            {"effort": "medium", "summary": "auto"},
        ),
        ({"thinking": {"type": "disabled"}}, {"effort": "low"}),
        ({"output_config": {"effort": "max"}}, {"effort": "high"}),
    ],
)
def test_the_effort_and_whether_a_summary_is_wanted(fields, reasoning):
    body = body_of(request_of(**fields), reasoning="effort", efforts=["low", "medium", "high"])
    assert body.get("reasoning") == reasoning


def test_verbosity_reasoning_context_and_padding_are_options():
    form = {"type": "json_schema", "schema": {"type": "object"}}
    request = request_of(thinking={"type": "adaptive"}, stream=True, output_config={"format": form})
    options = {"verbosity": "low", "reasoning_context": "all_turns", "stream_obfuscation": False}
    body = body_of(request, reasoning="effort", **options)
    assert body["text"]["verbosity"] == "low" and body["text"]["format"]["type"] == "json_schema"
    assert body["reasoning"]["context"] == "all_turns"
    assert body["stream_options"] == {"include_obfuscation": False}
    plain = body_of(request, reasoning="effort")
    assert "verbosity" not in plain["text"] and "context" not in plain["reasoning"]
    assert "stream_options" not in plain
    assert "stream_options" not in body_of({**request, "stream": False}, **options)
    assert body_of(request_of(), verbosity="high")["text"] == {"verbosity": "high"}


def test_any_form_of_thinking_is_an_effort_here():
    body = body_of(
        request_of(output_config={"effort": "high"}), reasoning="enable_thinking", efforts=["high"]
    )
    assert body["reasoning"] == {"effort": "high"}
    assert "enable_thinking" not in body


def test_the_least_output_cap_is_what_the_api_takes():
    outcome = convert(request_of(max_tokens=1), RESPONSES)
    assert outcome.body["max_output_tokens"] == 16
    assert ("clamped", "max_tokens", "1 became 16") in outcome.entries


def test_stop_sequences_are_watched_by_the_gateway():
    outcome = convert(request_of(stop_sequences=["END"]), RESPONSES)
    assert "stop" not in outcome.body
    assert (outcome.context.native_stops, outcome.context.local_stops) == ((), ("END",))


def test_a_schema_for_the_answer_is_a_text_format():
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    asked = request_of(output_config={"format": {"type": "json_schema", "schema": schema}})
    assert body_of(asked)["text"] == {
        "format": {"type": "json_schema", "name": "output", "schema": schema, "strict": True}
    }
    assert body_of(asked, json_schema="object")["text"] == {"format": {"type": "json_object"}}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "f"}, {"type": "function", "name": "f"}),
    ],
)
def test_tool_choice_is_flat(choice, sent):
    body = body_of(request_of(tools=[TOOL], tool_choice=choice))
    assert body["tool_choice"] == sent
    assert body["tools"] == [
        {"type": "function", "name": "f", "parameters": TOOL["input_schema"], "strict": False}
    ]


def test_parallel_calls_can_be_switched_off():
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert body_of(request_of(tools=[TOOL], tool_choice=choice))["parallel_tool_calls"] is False


def test_the_user_is_told_by_its_digest_and_the_session_by_its_key():
    request = request_of(metadata={"user_id": "u" * 200})
    body = convert(request, OPENAI, ClientFacts("1", "s-1")).body
    assert len(body["safety_identifier"]) == 64
    assert len(body["prompt_cache_key"]) == 32
    assert "user" not in body


def test_system_text_is_the_instructions():
    body = body_of(request_of(system=[text("A"), text("B")]))
    assert body["instructions"] == "A\n\nB"
    assert "instructions" not in body_of(request_of(system=" "))


def test_system_text_with_cache_markers_is_an_item_because_instructions_carry_none():
    marked = text("A", cache_control={"type": "ephemeral"})
    body = convert(request_of(system=[marked]), {**OPENAI, "cache_control": "openai_breakpoint"}).body
    assert "instructions" not in body
    assert body["input"][0] == {
        "type": "message",
        "role": "developer",
        "content": [
            {"type": "input_text", "text": "A", "prompt_cache_breakpoint": {"mode": "explicit"}},
        ],
    }


def test_a_system_message_in_the_middle_keeps_its_place():
    body = convert(request_of("a", assistant("b"), system("s"), "c"), OPENAI).body
    assert [(item["role"], item["type"]) for item in body["input"]] == [
        ("user", "message"), ("assistant", "message"), ("developer", "message"), ("user", "message"),
    ]  # fmt: skip


def test_an_answer_that_was_begun_is_refused_unless_the_model_takes_it():
    begun = request_of("a", assistant("It is"))
    assert refusal_of(begun, RESPONSES).startswith("This model does not support assistant message prefill.")
    outcome = convert(begun, {**RESPONSES, "prefill": "pass"})
    assert outcome.body["input"][-1]["content"] == "It is"
    assert outcome.context.prefill == "It is"
    assert "trailing whitespace" in refusal_of(
        request_of("a", assistant("It ")), {**RESPONSES, "prefill": "pass"}
    )


def test_extra_fields_of_the_profile_win():
    body = body_of(request_of(), extra_body={"store": True, "truncation": "auto"})
    assert (body["store"], body["truncation"]) == (True, "auto")


def test_a_request_that_only_warms_a_cache_is_answered_by_the_gateway():
    assert convert(request_of(max_tokens=0), RESPONSES).message["stop_reason"] == "max_tokens"


def test_images_stand_in_the_result_they_belong_to():
    picture = result("t1", [text("map:"), IMAGE])
    items = body_of(request_of("a", assistant(call("t1")), said_by_user(picture)))["input"]
    assert items[-1]["output"] == [
        {"type": "input_text", "text": "map:"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
    ]


def test_a_profile_is_fitted_once_so_that_what_is_kept_for_it_is_found_again():
    one, other = Profile(protocol="responses"), Profile(protocol="responses", stop="drop")
    assert fitted(one) is fitted(one)
    assert fitted(other) != fitted(one)
    assert all(
        fitted(Profile(upstream_model=str(number))).upstream_model == str(number) for number in range(300)
    )
    assert fitted(one) == fitted(Profile(protocol="responses"))
