"""What the messages of a request look like as a whole: prefill, and what is left of nothing."""

import pytest

from tests.conversion.converting import (
    IMAGE,
    IMAGE_PART,
    assistant,
    call,
    convert,
    messages_of,
    refusal_of,
    request_of,
    result,
    system,
    text,
    thinking,
    user,
)

PREFILLED = request_of("a", assistant("The answer is"))


def test_a_trailing_assistant_message_is_refused_by_default():
    assert refusal_of(PREFILLED) == (
        "This model does not support assistant message prefill. "
        "The conversation must end with a user message."
    )


def test_prefix_marks_the_last_message():
    outcome = convert(PREFILLED, {"prefill": "prefix"})
    assert outcome.messages[-1] == {"role": "assistant", "content": "The answer is", "prefix": True}
    assert outcome.context.prefill == "The answer is"


def test_continue_final_is_said_in_the_body():
    outcome = convert(PREFILLED, {"prefill": "continue_final"})
    assert outcome.messages[-1] == {"role": "assistant", "content": "The answer is"}
    assert outcome.body["continue_final_message"] is True
    assert outcome.body["add_generation_prompt"] is False


def test_pass_sends_it_as_it_is():
    outcome = convert(PREFILLED, {"prefill": "pass"})
    assert outcome.messages[-1] == {"role": "assistant", "content": "The answer is"}
    assert "continue_final_message" not in outcome.body
    assert outcome.context.prefill == "The answer is"


@pytest.mark.parametrize("form", ["prefix", "continue_final", "pass"])
def test_trailing_whitespace_of_a_prefill_is_refused(form):
    message = refusal_of(request_of("a", assistant("x ")), {"prefill": form})
    assert message == "messages: final assistant content cannot end with trailing whitespace"


def test_the_prefill_of_a_message_of_parts_is_its_text():
    options = {"prefill": "pass", "reasoning_replay": "content_parts"}
    assert convert(request_of("a", assistant(thinking("x"), "y")), options).context.prefill == "y"


@pytest.mark.parametrize(
    "behind",
    [[], [user("b")], [assistant(thinking("x"))], [assistant("b"), system("s")], [assistant(call())]],
)
def test_what_does_not_end_with_assistant_text_is_no_prefill(behind):
    assert convert(request_of("a", *behind)).context.prefill is None


@pytest.mark.parametrize(
    "messages", [[system("s")], [assistant("a")], [assistant(thinking("x"))], [user(""), assistant("a")]]
)
def test_a_conversation_without_a_user_is_refused(messages):
    assert refusal_of(request_of(*messages), {"prefill": "pass"}) == (
        "messages: at least one message is required"
    )


def test_a_conversation_may_begin_with_the_assistant():
    assert [m["role"] for m in messages_of(assistant("a"), "b")] == ["assistant", "user"]


def test_a_round_trip_of_tools_with_text_beside_the_results():
    messages = messages_of(
        "weather?",
        assistant("Let me look.", call("t1", city="Zürich"), call("t2", city="Bern")),
        user(result("t1", "12C"), result("t2", "no such city", is_error=True), "be brief"),
    )
    assert [m["role"] for m in messages] == ["user", "assistant", "tool", "tool", "user"]
    assert messages[3]["content"] == "ERROR: no such city"


@pytest.mark.parametrize("gone", [thinking("hm"), text("  ")])
def test_users_around_a_turn_of_which_nothing_is_left_are_one(gone):
    converted = convert(request_of("A", assistant(gone), "B"))
    assert [(m["role"], m["content"]) for m in converted.messages] == [("user", "A\n\nB")]
    assert any("joined" in entry[2] for entry in converted.entries)


def test_a_turn_of_thinking_alone_goes_back_where_thinking_does():
    options = {"reasoning_replay": "reasoning_content"}
    converted = convert(request_of("A", assistant(thinking("hm")), "B"), options)
    assert converted.messages[1] == {"role": "assistant", "content": "", "reasoning_content": "hm"}
    last = convert(request_of("A", assistant(thinking("hm"))), options)
    assert [m["role"] for m in last.messages] == ["user"]
    assert "dropped" in last.codes


def test_joined_users_keep_their_pictures():
    converted = convert(request_of(user(IMAGE), assistant(thinking("hm")), "B"))
    assert converted.messages == [{"role": "user", "content": [IMAGE_PART, {"type": "text", "text": "B"}]}]
