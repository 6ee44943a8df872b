"""Cache markers on their way upstream."""

import json

import pytest

from tests.conversion.converting import (
    IMAGE,
    IMAGE_PART,
    assistant,
    call,
    convert,
    request_of,
    result,
    system,
    text,
    user,
)

MARKER, HOUR = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}
KEEP, BREAKPOINT = {"cache_control": "keep"}, {"cache_control": "openai_breakpoint"}
EXPLICIT = {"mode": "explicit"}


def marked(block, marker=MARKER):
    return {**block, "cache_control": marker}


EVERYWHERE = request_of(
    user(marked(text("a"))),
    assistant(marked(text("b")), marked(call())),
    user(marked(result(content="x")), marked(IMAGE)),
    system(marked(text("s"))),
    system=[marked(text("S"))],
    tools=[marked({"name": "get_time", "input_schema": {"type": "object"}})],
    cache_control=MARKER,
)


def test_strip_removes_markers_everywhere_with_one_entry_for_messages():
    outcome = convert(EVERYWHERE)
    assert "cache_control" not in json.dumps(outcome.body)
    assert ("dropped", "cache_control", "cache markers: 7") in outcome.entries
    assert outcome.messages[0] == {"role": "system", "content": "S"}


def test_keep_copies_markers_onto_parts():
    outcome = convert(EVERYWHERE, KEEP)
    assert outcome.messages == [
        {"role": "system", "content": [marked(text("S"))]},
        {"role": "user", "content": [marked(text("a"))]},
        {
            "role": "assistant",
            "content": [marked(text("b"))],
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": [marked(text("x"))]},
        {"role": "user", "content": [marked(IMAGE_PART)]},
        {"role": "system", "content": [marked(text("s"))]},
    ]
    assert outcome.body["tools"][0]["cache_control"] == MARKER


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        ([marked(text("a")), text("b")], [marked(text("a")), text("b")]),
        (None, [marked(text("(no output)"))]),
    ],
)
def test_a_marked_result_is_a_list_of_parts(content, sent):
    outer = marked(result(content=content)) if content is None else result(content=content)
    messages = convert(request_of("a", assistant(call()), user(outer)), KEEP).messages
    assert messages[2]["content"] == sent


@pytest.mark.parametrize(
    ("marker", "lifetime", "breakpoint_"),
    [
        (MARKER, "shortest", EXPLICIT),
        (HOUR, "shortest", EXPLICIT),
        (MARKER, "client", EXPLICIT),
        (HOUR, "client", {**EXPLICIT, "ttl": "12h"}),
    ],
)
def test_a_breakpoint_is_openais_form_of_a_marker(marker, lifetime, breakpoint_):
    options = {**BREAKPOINT, "cache_lifetime": lifetime}
    messages = convert(request_of(user("a", marked(IMAGE, marker))), options).messages
    assert messages[0]["content"] == [text("a"), {**IMAGE_PART, "prompt_cache_breakpoint": breakpoint_}]


@pytest.mark.parametrize("protocol", ["chat", "responses"])
def test_every_turn_ends_with_a_breakpoint_wherever_the_client_put_its_markers(protocol):
    conversation = [user("1"), assistant(call()), user(result(content="2"), text("3")), assistant("b")]
    conversation += [user("4"), system("s"), assistant("c"), user("5", marked(text("6")))]
    outcome = convert(request_of(*conversation, system="S"), {**BREAKPOINT, "protocol": protocol})
    carrying = [
        part["text"]
        for message in outcome.messages
        for part in _content(message)
        if "prompt_cache_breakpoint" in part
    ]
    assert carrying == ["S", "1", "3", "s", "6"]


@pytest.mark.parametrize("protocol", ["chat", "responses"])
@pytest.mark.parametrize("mode", ["keep", "openai_breakpoint"])
def test_a_content_has_one_form_whether_its_marker_has_moved_on_or_not(protocol, mode):
    options = {"cache_control": mode, "protocol": protocol}
    for turn in (
        [user("a", marked(text("b")))],
        [user("a"), assistant(call()), user(marked(result(content="x")))],
        [user("a"), assistant(call()), user(marked(result(content=[text(" "), text("x")])))],
    ):
        later = [message_without_marks(message) for message in turn]
        before = convert(request_of(*turn), options).messages
        after = convert(request_of(*later, assistant("b"), user("c")), options).messages
        assert without_marks(after[: len(before)]) == without_marks(before)


def _content(message):
    content = message.get("content") or message.get("output")
    return content if isinstance(content, list) else []


def message_without_marks(message):
    return json.loads(json.dumps(message).replace(f', "cache_control": {json.dumps(MARKER)}', ""))


def without_marks(value):
    if isinstance(value, list):
        return [without_marks(inner) for inner in value]
    if isinstance(value, dict):
        marks = ("cache_control", "prompt_cache_breakpoint")
        return {name: without_marks(inner) for name, inner in value.items() if name not in marks}
    return value


def test_assistants_and_tools_carry_no_breakpoints():
    outcome = convert(EVERYWHERE, BREAKPOINT)
    assert "prompt_cache_breakpoint" not in json.dumps([outcome.messages[2], outcome.body["tools"]])
    assert "cache_control" not in json.dumps(outcome.body)


def test_the_top_level_marker_marks_the_last_block_that_can_carry_one():
    outcome = convert(request_of("a", assistant("b"), user("c", "d"), cache_control=HOUR), KEEP)
    assert outcome.messages[2]["content"] == [text("c"), marked(text("d"), HOUR)]
    outcome = convert(
        request_of("a", assistant(call()), user(result(content="x")), cache_control=MARKER), KEEP
    )
    assert outcome.messages[2]["content"] == [marked(text("x"))]


def test_a_marker_of_its_own_wins_over_the_top_level_one():
    outcome = convert(request_of(user(marked(text("a"), HOUR)), cache_control=MARKER), KEEP)
    assert outcome.messages[0]["content"] == [marked(text("a"), HOUR)]


def test_a_request_without_markers_has_no_entry():
    assert convert(request_of("a")).entries == []
