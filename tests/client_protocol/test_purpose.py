import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client_protocol.purpose import (
    NOTHING_KNOWN,
    RequestClass,
    Task,
    durations,
    purpose_of,
)
from gateway.routing.predicates import OneClass
from tests.client_protocol.captured import classifier, plain, protocol, without_hints

TOLD = {
    "07": ("auxiliary", "probe"),
    "09": ("auxiliary", "title"),
    "10": ("main", ""),
    "12": ("compaction", ""),
    "13": ("main", ""),
    "14": ("auxiliary", ""),
    "17": ("subagent", ""),
    "18": ("subagent", ""),
}


@pytest.mark.parametrize(("name", "expected"), TOLD.items())
def test_the_class_is_what_the_client_says(name, expected):
    headers, body = protocol(name)
    found = purpose_of(body, headers, "messages")
    assert (found.request_class, found.task) == expected
    assert not found.inferred


@pytest.mark.parametrize("name", ["07", "09", "10", "13", "16", "17", "18", "29", "30"])
def test_without_hint_headers_the_shape_gives_the_same_class(name):
    headers, body = protocol(name)
    told = purpose_of(body, headers, "messages")
    found = purpose_of(body, without_hints(headers), "messages")
    wanted = told.request_class if told.request_class is not RequestClass.UNKNOWN else RequestClass.MAIN
    assert (found.request_class, found.task, found.inferred) == (wanted, told.task, True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("01", "main"), ("06", "main"), ("09", "main"), ("20", "subagent"), ("21", "subagent"),
        ("23", "auxiliary"), ("24", "auxiliary"), ("33", "main"), ("44", "unknown"), ("47", "unknown"),
    ],
)  # fmt: skip
def test_clients_without_a_gateway_are_understood_by_their_shape(name, expected):
    headers, body = plain(name)
    assert purpose_of(body, headers, "messages").request_class == expected


@pytest.mark.parametrize("stage", ["19", "20"])
@pytest.mark.parametrize("hints", [True, False])
def test_the_clients_own_safety_check_is_recognised(stage, hints):
    headers, body = classifier(stage)
    found = purpose_of(body, headers if hints else without_hints(headers), "messages")
    assert found.task is Task.CLASSIFIER
    assert found.counted_as == "classifier"
    assert OneClass(frozenset({"auxiliary"})).meets(found)
    assert OneClass(frozenset({"classifier"})).meets(found)
    assert not OneClass(frozenset({"main"})).meets(found)


@pytest.mark.parametrize(
    "change",
    [
        {"stream": True},
        {"tools": [{"name": "Bash", "input_schema": {}}]},
        {"system": "short"},
        {"messages": [{"role": "user", "content": "hello"}]},
    ],
)
def test_what_only_resembles_the_safety_check_is_none(change):
    headers, body = classifier()
    assert purpose_of({**body, **change}, headers, "messages").task is not Task.CLASSIFIER


def test_a_request_for_a_summary_with_tools_is_a_compaction():
    headers, body = plain("36")
    assert purpose_of(body, headers, "messages").request_class is RequestClass.MAIN  # its text was replaced
    words = "Write <analysis> and then <summary>. " * 50
    body["messages"][-1]["content"][-1]["text"] = words
    found = purpose_of(body, headers, "messages")
    assert (found.request_class, found.inferred) == (RequestClass.COMPACTION, True)


def test_counting_is_auxiliary():
    headers, body = protocol("15")
    assert purpose_of(body, headers, "count_tokens").task is Task.COUNT
    assert purpose_of(body, without_hints(headers), "count_tokens").request_class is RequestClass.AUXILIARY


def test_prompt_agent_type_compaction_and_durations_are_read():
    headers, body = protocol("11")
    found = purpose_of(body, headers, "messages")
    assert found.prompt_id == "00000000-0000-4000-8000-4b89fb5c69af"
    assert found.tool_durations == [["Bash", 91]]
    assert found.settings_checksum.startswith("sha256:dc91a9")
    assert purpose_of({}, protocol("12")[0], "messages").compaction == "manual"
    assert purpose_of({}, protocol("13")[0], "messages").compaction == "manual"
    nested = purpose_of({}, protocol("18")[0], "messages")
    assert (nested.agent_type, nested.finer_class) == ("Explore", "blocking-subagent")


def test_a_class_of_a_newer_client_is_unknown():
    assert purpose_of({}, {"x-claude-code-request-class": "dreaming"}, "messages").request_class == "unknown"


def test_other_clients_have_no_purpose():
    assert purpose_of({"tools": [1]}, {"user-agent": "curl/8"}, "messages") is NOTHING_KNOWN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bash=608;Bash=1512", [["Bash", 608], ["Bash", 1512]]),
        ("mcp__a%3Bb=5", [["mcp__a;b", 5]]),
        ("a=b=7", [["a=b", 7]]),
        ("", []),
        ("=5;x=;y=-1;z=1.5;w", []),
        ("q=99999999999", []),
        ("q=9999999999", [["q", 2**31 - 1]]),
        ("q=²", []),
        ("x=1;" * 40, [["x", 1]] * 32),
        ("x=1;" * 2000, []),
    ],
)
def test_durations_are_read_as_far_as_they_are_some(text, expected):
    assert durations(text) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["content", "text", "type", "role", "tools"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["messages", "tools", "system", "max_tokens", "stream"]), JSON),
    st.sampled_from(["messages", "count_tokens", "replay"]),
)
def test_no_body_is_too_odd(body, endpoint):
    found = purpose_of(body, {"user-agent": "claude-cli/9"}, endpoint)
    assert found.request_class in RequestClass
