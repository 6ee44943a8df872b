"""Checks of a request's top level, in the wording of the API."""

import pytest

from gateway.conversion.validation.request_checks import check, refuse_unsupported
from gateway.errors import InvalidRequest

OK = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def refusal(request, **how):
    with pytest.raises(InvalidRequest) as caught:
        check(request, **how)
    return caught.value.message


def with_fields(**fields):
    return {**OK, **fields}


def test_a_legal_request_comes_back_unchanged_and_uncopied():
    assert check(OK) is OK


@pytest.mark.parametrize("root", [[1], "x", None, 3])
def test_the_root_must_be_an_object(root):
    assert refusal(root) == "Input should be a valid dictionary"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "model: Field required"),
        ({"model": "m"}, "max_tokens: Field required"),
        ({"model": "m", "max_tokens": 1}, "messages: Field required"),
        ({"messages": [], "stream": "x"}, "model: Field required"),
        ({**OK, "max_tokens": None}, "max_tokens: Field required"),
    ],
)
def test_required_fields_are_missed_in_the_order_model_max_tokens_messages(request_, message):
    assert refusal(request_) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": 5}, "model: Input should be a valid string"),
        ({"max_tokens": "10"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 1.0}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
        ({"messages": {}}, "messages: Input should be a valid list"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"stream": "true"}, "stream: Input should be a valid boolean"),
        ({"stream": 1}, "stream: Input should be a valid boolean"),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"temperature": -0.1}, "temperature: range: 0..1"),
        ({"temperature": "warm"}, "temperature: Input should be a valid number"),
        ({"temperature": True}, "temperature: Input should be a valid number"),
        ({"top_p": 2}, "top_p: range: 0..1"),
        ({"top_k": -1}, "top_k: Input should be greater than or equal to 0"),
        ({"top_k": 1.5}, "top_k: Input should be a valid integer"),
        ({"stop_sequences": "x"}, "stop_sequences: Input should be a valid list"),
        ({"stop_sequences": [5]}, "stop_sequences.0: Input should be a valid string"),
        (
            {"stop_sequences": ["a", " \n"]},
            "stop_sequences: each stop sequence must contain non-whitespace",
        ),
        ({"stop_sequences": [""]}, "stop_sequences: each stop sequence must contain non-whitespace"),
        ({"metadata": []}, "metadata: Input should be a valid dictionary"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id: Input should be a valid string"),
        ({"mcp_servers": {}}, "mcp_servers: Input should be a valid list"),
        ({"output_config": []}, "output_config: Input should be a valid dictionary"),
        (
            {"output_config": {"effort": "turbo"}},
            "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        ),
        ({"system": 5}, "system: Input should be a valid list"),
        ({"system": ["a"]}, "system.0: Input should be a valid dictionary"),
        ({"system": [{"type": "image"}]}, "system.0.type: Input should be 'text'"),
        ({"system": [{"type": "text"}]}, "system.0.text: Field required"),
        (
            {"cache_control": {"type": "ephemeral", "ttl": "2h"}},
            "cache_control.ttl: Input should be '5m' or '1h'",
        ),
        ({"cache_control": {}}, "cache_control.type: Input should be 'ephemeral'"),
        ({"thinking": "on"}, "thinking: Input should be a valid dictionary"),
        ({"thinking": {}}, "thinking.type: Field required"),
        (
            {"thinking": {"type": "x"}},
            "thinking: Input tag 'x' found using 'type' does not match any of the expected tags: "
            "'adaptive', 'between_tools', 'disabled', 'enabled'",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1023}},
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": "many"}},
            "thinking.enabled.budget_tokens: Input should be a valid integer",
        ),
        (
            {"max_tokens": 2048, "thinking": {"type": "enabled", "budget_tokens": 2048}},
            "`max_tokens` must be greater than `thinking.budget_tokens`",
        ),
    ],
)
def test_a_field_of_the_wrong_shape_is_refused_in_the_words_of_the_api(fields, message):
    assert refusal(with_fields(**fields)) == message


@pytest.mark.parametrize(
    "fields",
    [
        {"foo": 1, "betas": 5},
        {"temperature": 0, "top_p": 1, "top_k": 0, "stream": False},
        {"max_tokens": 0},
        {"stop_sequences": [], "system": [], "metadata": {}, "mcp_servers": []},
        {"thinking": {"type": "enabled"}},
        {"thinking": {"type": "disabled", "budget_tokens": 5, "block_binding": 1}},
        {"thinking": {"type": "between_tools", "display": "updates"}},
        {"output_config": {"task_budget": {}}},
    ],
)
def test_unknown_fields_and_legal_values_are_accepted(fields):
    check(with_fields(**fields))


def test_null_is_equal_to_absent_for_every_optional_field():
    names = ("system", "stream", "temperature", "top_p", "top_k", "stop_sequences", "thinking", "metadata")
    nulls = dict.fromkeys((*names, "output_config", "thread", "compaction", "container", "mcp_servers"))
    check(with_fields(**nulls))
    refuse_unsupported(with_fields(**nulls))


def test_the_first_mistake_in_document_order_is_reported_alone():
    assert refusal({"top_k": -1, **OK, "stream": 1}).startswith("top_k")
    assert refusal({**OK, "stream": 1, "top_k": -1}).startswith("stream")


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_sampling_fields_are_refused_only_by_enforcement_of_the_version_that_removed_them(name):
    request = with_fields(**{name: 1})
    check(request, api_version="2026-10-21")
    check(request, api_version="2023-06-01", enforce_api_version=True)
    check(request, enforce_api_version=True)
    message = refusal(request, api_version="2026-10-21", enforce_api_version=True)
    assert message == f"{name}: Extra inputs are not permitted"


def test_counting_needs_no_max_tokens_and_ignores_what_it_does_not_use():
    request = {"model": "m", "messages": OK["messages"], "stream": "x", "max_tokens": "y"}
    check({**request, "thinking": {"type": "enabled", "budget_tokens": 5000}}, counting=True)
    assert refusal({"model": "m"}, counting=True) == "messages: Field required"


def unsupported(request, **how):
    with pytest.raises(InvalidRequest) as caught:
        refuse_unsupported(request, **how)
    return caught.value


def test_a_thread_is_refused_with_the_details_that_make_the_sdk_send_the_whole_history():
    error = unsupported({"thread": {"type": "create"}})
    assert error.message == "thread: server-held conversations are not supported by this gateway"
    assert error.details == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


def test_compaction_is_refused_but_ignored_when_counting():
    assert unsupported({"compaction": {"type": "summarize"}}).message == (
        "compaction: not supported by this gateway"
    )
    refuse_unsupported({"compaction": {"type": "summarize"}}, counting=True)


@pytest.mark.parametrize("container", ["c_1", {}, {"id": "c_1", "skills": []}])
def test_a_container_without_skills_is_ignored(container):
    refuse_unsupported({"container": container})


def test_skills_are_refused():
    error = unsupported({"container": {"skills": [{"type": "anthropic"}]}})
    assert error.message == "container.skills: not supported by this gateway"


def test_between_calls_the_budget_of_thinking_may_be_larger_than_max_tokens():
    thinking = {"type": "enabled", "budget_tokens": 16_000}
    request = with_fields(max_tokens=4000, thinking=thinking, tools=[{"name": "f", "input_schema": {}}])
    assert check(request) is request
    assert "greater than" in refusal(with_fields(max_tokens=4000, thinking=thinking, tools=[]))
