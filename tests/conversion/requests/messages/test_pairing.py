"""Every tool call gets exactly one result."""

import time

import pytest

from tests.conversion.converting import (
    assistant,
    call,
    convert,
    messages_of,
    refusal_of,
    request_of,
    result,
    system,
    user,
)

STRICT = {"history": "strict"}


def roles(messages):
    return [message["role"] for message in messages]


def test_a_call_without_a_result_gets_one():
    outcome = convert(request_of("a", assistant(call("t1"), call("t2")), user(result("t2", "x"), "b")))
    assert outcome.messages[2:] == [
        {"role": "tool", "tool_call_id": "t2", "content": "x"},
        {"role": "tool", "tool_call_id": "t1", "content": "[no result: the tool call was interrupted]"},
        {"role": "user", "content": "b"},
    ]
    assert outcome.codes == ["repaired"]
    assert outcome.entries[0][1] == "messages.1.content.0"


@pytest.mark.parametrize("behind", [[], [system("s")], [system("s"), assistant("c"), user("d")]])
def test_a_result_is_added_directly_behind_the_call_wherever_it_stands(behind):
    messages = messages_of("a", assistant(call()), *behind)
    assert roles(messages)[:3] == ["user", "assistant", "tool"]


def test_a_result_without_a_call_becomes_user_text():
    outcome = convert(request_of(user(result("t9", "x"), "b")))
    assert outcome.messages == [{"role": "user", "content": "[tool result for t9]\nx\n\nb"}]
    assert outcome.codes == ["repaired"]
    assert messages_of(user(result("t9", is_error=True))) == [
        {"role": "user", "content": "[tool result for t9]\nERROR: (no output)"}
    ]


def test_of_two_results_for_one_call_the_first_is_kept():
    outcome = convert(request_of("a", assistant(call()), user(result(content="x"), result(content="y"))))
    assert outcome.messages[2:] == [{"role": "tool", "tool_call_id": "t1", "content": "x"}]
    assert outcome.codes == ["repaired"]


def test_a_doubled_id_is_made_unique_and_results_are_given_out_in_order():
    outcome = convert(
        request_of(
            "a", assistant(call("t1"), call("t1"), call("t1")), user(result("t1", "x"), result("t1", "y"))
        )
    )
    assert [c["id"] for c in outcome.messages[1]["tool_calls"]] == ["t1", "t1_2", "t1_3"]
    assert [(m["tool_call_id"], m["content"][:1]) for m in outcome.messages[2:]] == [
        ("t1", "x"),
        ("t1_2", "y"),
        ("t1_3", "["),
    ]
    assert set(outcome.codes) == {"repaired"}


def test_the_same_id_in_different_turns_is_allowed():
    round_ = [assistant(call("t1")), user(result("t1", "x"))]
    outcome = convert(request_of("a", *round_, *round_), STRICT)
    assert roles(outcome.messages) == ["user", "assistant", "tool", "assistant", "tool"]
    assert outcome.entries == []


def test_results_in_the_second_of_two_user_messages_are_found():
    outcome = convert(request_of("a", assistant(call()), user("b"), user(result(content="x"))))
    assert roles(outcome.messages) == ["user", "assistant", "tool", "user"]
    assert outcome.codes == ["moved"]


def test_calls_of_merged_assistant_messages_are_answered_together():
    outcome = convert(
        request_of("a", assistant(call("t1")), assistant(call("t2")), user(result("t2"), result("t1"))),
        STRICT,
    )
    assert roles(outcome.messages) == ["user", "assistant", "tool", "tool"]


def test_results_keep_the_order_in_which_they_were_completed():
    messages = messages_of("a", assistant(call("t1"), call("t2")), user(result("t2"), result("t1")))
    assert [message["tool_call_id"] for message in messages[2:]] == ["t2", "t1"]


def test_a_system_message_between_call_and_result_moves_behind_the_result():
    outcome = convert(request_of("a", assistant(call()), system("s"), user(result(content="x"), "b")))
    assert outcome.codes == ["moved"]
    assert outcome.messages[2:] == [
        {"role": "tool", "tool_call_id": "t1", "content": "x"},
        {"role": "system", "content": "s"},
        {"role": "user", "content": "b"},
    ]


def test_a_system_message_between_call_and_result_can_become_user_text_behind_the_result():
    outcome = convert(
        request_of("a", assistant(call()), system("s"), user(result(content="x"), "b")),
        {"mid_system": "user"},
    )
    assert outcome.messages[2:] == [
        {"role": "tool", "tool_call_id": "t1", "content": "x"},
        {"role": "user", "content": "b\n\n<system-reminder>\ns\n</system-reminder>"},
    ]


@pytest.mark.parametrize("odd", ["call_abc|123:x.y", "functions.Bash:0", ""])
def test_odd_ids_are_accepted_by_repair_and_refused_by_strict(odd):
    request = request_of("a", assistant(call(odd)), user(result(odd, "x")))
    messages = convert(request).messages
    assert messages[2] == {
        "role": "tool",
        "tool_call_id": messages[1]["tool_calls"][0]["id"],
        "content": "x",
    }
    assert refusal_of(request, STRICT) == (
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
    )


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (
            ["a", assistant(call("t1"), call("t2")), user("b")],
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1, t2. "
            "Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
        ),
        (
            ["a", assistant(call("t1"))],
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. "
            "Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
        ),
        (
            [user("a", result("t9"))],
            "messages.0.content.1: unexpected `tool_use_id` found in `tool_result` blocks: t9. Each "
            "`tool_result` block must have a corresponding `tool_use` block in the previous message.",
        ),
        (
            ["a", assistant(call()), user(result(), result())],
            "messages.2.content.1: each tool_use must have a single result. "
            "Found multiple `tool_result` blocks with id: t1",
        ),
        (
            ["a", assistant(call(), call()), user(result())],
            "messages.1.content.1: `tool_use` ids must be unique",
        ),
    ],
)
def test_strict_history_is_refused_as_the_api_does(messages, message):
    assert refusal_of(request_of(*messages), STRICT) == message


def test_ids_used_before_are_made_unique_in_time_however_many_there_are():
    """Beside one that a client chose as the next number."""
    number = 20_000
    calls = [call("t1_5"), *(call("t1") for _ in range(number))]
    began = time.thread_time()
    ids = [one["id"] for one in convert(request_of("x", assistant(*calls))).messages[1]["tool_calls"]]
    # searching from the beginning each time would take minutes
    assert time.thread_time() - began < 10
    assert ids[:7] == ["t1_5", "t1", "t1_2", "t1_3", "t1_4", "t1_6", "t1_7"]
    assert len(set(ids)) == number + 1
