"""Thinking of the history on its way back upstream."""

import pytest

from gateway.conversion.provider_state import signature
from tests.conversion.converting import (
    assistant,
    call,
    convert,
    messages_of,
    request_of,
    result,
    system,
    text,
    thinking,
    user,
)

DETAILS = [{"type": "reasoning.text", "text": "hmm", "signature": "s"}]


def own(value, provider="p1", model="claude-test", **payload):
    return thinking(value, signature({"p": provider, "m": model, **payload})[0])


def message_of(*blocks, **options):
    return messages_of("a", assistant(*blocks, "b"), "c", options={"provider": "p1", **options})[1]


def redacted(data):
    return {"type": "redacted_thinking", "data": data}


@pytest.mark.parametrize(
    "block", [thinking("x", "EqQB"), thinking("x"), own("x", rd=DETAILS), redacted("xxx")]
)
def test_drop_sends_no_thinking(block):
    outcome = convert(request_of("a", assistant(block, "b"), "c"), {"provider": "p1"})
    assert outcome.messages[1] == {"role": "assistant", "content": "b"}
    assert "dropped" in outcome.codes


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_texts_return_in_the_field_whoever_signed_them(field):
    blocks = [thinking("a", "EqQB"), thinking("b"), own("c"), own("d", provider="other"), redacted("xxx")]
    assert message_of(*blocks, reasoning_replay=field) == {
        "role": "assistant",
        "content": "b",
        field: "a\nb\nc\nd",
    }


def test_texts_return_as_a_thinking_part():
    assert message_of(thinking("x"), reasoning_replay="content_parts")["content"] == [
        {"type": "thinking", "thinking": [text("x")]},
        text("b"),
    ]
    messages = messages_of(
        "a", assistant(thinking("x"), call()), user(result()), options={"reasoning_replay": "content_parts"}
    )
    assert messages[1]["content"] == [{"type": "thinking", "thinking": [text("x")]}]
    assert message_of(reasoning_replay="content_parts")["content"] == "b"


def test_a_list_fills_each_of_its_fields():
    message = message_of(thinking("x"), reasoning_replay=["reasoning", "reasoning_content"])
    assert (message["reasoning"], message["reasoning_content"]) == ("x", "x")


def test_own_details_are_restored_exactly_and_in_order():
    more = [{"type": "reasoning.encrypted", "data": "E"}]
    message = message_of(own("x", rd=DETAILS), own("", rd=more), reasoning_replay="reasoning_details")
    assert message == {"role": "assistant", "content": "b", "reasoning_details": DETAILS + more}


@pytest.mark.parametrize(
    "block", [own("x", provider="other", rd=DETAILS), own("x"), thinking("x", "EqQB"), own("x", rd="odd")]
)
def test_without_own_details_the_text_returns_as_reasoning(block):
    message = message_of(block, reasoning_replay="reasoning_details")
    assert message == {"role": "assistant", "content": "b", "reasoning": "x"}


def test_details_and_reasoning_together_send_all_text_as_reasoning():
    message = message_of(
        own("x", rd=DETAILS), thinking("y"), reasoning_replay=["reasoning_details", "reasoning"]
    )
    assert (message["reasoning"], message["reasoning_details"]) == ("x\ny", DETAILS)
    message = message_of(thinking("y"), reasoning_replay=["reasoning", "reasoning_details"])
    assert message["reasoning"] == "y"


def test_redacted_thinking_of_our_own_returns_its_details():
    data = own("", rd=DETAILS)["signature"]
    assert message_of(redacted(data), reasoning_replay="reasoning_details")["reasoning_details"] == DETAILS
    assert "reasoning_details" not in message_of(redacted("xx"), reasoning_replay="reasoning_details")


def test_omitted_thinking_returns_the_text_its_signature_carries():
    assert message_of(own("", t="x"), reasoning_replay="reasoning_content")["reasoning_content"] == "x"
    assert "reasoning_content" not in message_of(own(""), reasoning_replay="reasoning_content")


def test_opaque_data_of_another_provider_is_in_the_ledger():
    outcome = convert(
        request_of("a", assistant(own("x", provider="other", rd=DETAILS), "b"), "c"),
        {"provider": "p1", "reasoning_replay": "reasoning_content"},
    )
    assert outcome.codes == ["dropped"]


class TestScopeOfToolTurns:
    OPTIONS = {"reasoning_replay": "reasoning_content", "replay_scope": "tool_turns"}
    HISTORY = (
        "a",
        assistant(thinking("old"), "b"),
        "c",
        assistant(thinking("one"), call("t1")),
        user(result("t1")),
        assistant(thinking("two"), call("t2")),
        user(result("t2")),
    )

    def test_only_turns_behind_the_last_real_user_message_get_theirs_back(self):
        outcome = convert(request_of(*self.HISTORY), self.OPTIONS)
        found = [m.get("reasoning_content") for m in outcome.messages if m["role"] == "assistant"]
        assert found == [None, "one", "two"]
        assert outcome.codes == ["dropped"]

    @pytest.mark.parametrize("mid_system", ["keep", "user"])
    def test_a_system_message_is_no_real_user_message(self, mid_system):
        messages = messages_of(*self.HISTORY, system("s"), options={**self.OPTIONS, "mid_system": mid_system})
        assert [m["reasoning_content"] for m in messages if "reasoning_content" in m] == ["one", "two"]

    def test_text_beside_the_results_is_a_real_user_message(self):
        messages = messages_of(
            *self.HISTORY[:-1],
            user(result("t2"), "d"),
            options={**self.OPTIONS, "reasoning_placeholder": " "},
        )
        assert not any("reasoning_content" in message for message in messages)


@pytest.mark.parametrize("placeholder", ["", " "])
def test_a_tool_turn_without_thinking_gets_the_placeholder(placeholder):
    options = {"reasoning_replay": "reasoning_content", "reasoning_placeholder": placeholder}
    messages = messages_of("a", assistant(call()), user(result()), assistant("b"), "c", options=options)
    assert messages[1]["reasoning_content"] == placeholder
    assert "reasoning_content" not in messages[3]


@pytest.mark.parametrize(
    "options",
    [
        {"reasoning_replay": "reasoning_content", "reasoning_placeholder": None},
        {"reasoning_replay": "reasoning", "reasoning_placeholder": " "},
        {"reasoning_replay": "drop", "reasoning_placeholder": " "},
    ],
)
def test_no_placeholder_where_it_is_null_or_the_field_is_another(options):
    messages = messages_of("a", assistant(call()), user(result()), options=options)
    assert messages[1].keys() == {"role", "content", "tool_calls"}


class TestMessageExtras:
    OPTIONS = {"message_extras": ["encrypted_content"]}

    def test_they_return_even_where_thinking_is_dropped_and_the_last_wins(self):
        blocks = [own("", x={"encrypted_content": "E1", "other": 1}), own("", x={"encrypted_content": "E2"})]
        assert message_of(*blocks, **self.OPTIONS) == {
            "role": "assistant",
            "content": "b",
            "encrypted_content": "E2",
        }

    @pytest.mark.parametrize("block", [own("", provider="other", x={"encrypted_content": "E"}), own("", x=5)])
    def test_those_of_another_provider_or_odd_ones_do_not(self, block):
        assert message_of(block, **self.OPTIONS) == {"role": "assistant", "content": "b"}

    def test_they_share_the_scope_of_thinking(self):
        message = message_of(own("", x={"encrypted_content": "E"}), **self.OPTIONS, replay_scope="tool_turns")
        assert message == {"role": "assistant", "content": "b"}


@pytest.mark.parametrize(
    ("block", "note"),
    [
        (own("x", provider="p2", rd=DETAILS), "opaque reasoning data of another provider"),
        (own("x", model="m2", rd=DETAILS), "opaque reasoning data of another model"),
        (own("x", model="m2", x={"a": 1}), "opaque reasoning data of another model"),
        (thinking("x", own("x", rd=DETAILS)["signature"][:-7]), "opaque reasoning data that cannot be read"),
        (thinking("x", "gw1.AAAA"), "opaque reasoning data that cannot be read"),
    ],
)
def test_data_of_others_and_tampered_data_are_dropped_and_the_text_remains(block, note):
    options = {"provider": "p1", "reasoning_replay": "reasoning_details", "message_extras": ["a"]}
    outcome = convert(request_of("a", assistant(block, "b"), "c"), options)
    assert outcome.messages[1] == {"role": "assistant", "content": "b", "reasoning": "x"}
    assert ("dropped", "messages.1.content.0", note) in outcome.entries


def test_details_that_are_none_are_not_sent():
    message = message_of(own("x", rd=["forged"]), reasoning_replay="reasoning_details")
    assert message == {"role": "assistant", "content": "b", "reasoning": "x"}


def test_thinking_of_another_goes_back_as_reasoning_only_where_reasoning_is_known():
    strange = {"reasoning_replay": "reasoning_details", "reasoning_in": ["reasoning_details"]}
    assert message_of(thinking("x", "EqQB"), **strange) == {"role": "assistant", "content": "b"}
    message = message_of(thinking("x", "EqQB"), reasoning_replay="reasoning_details")
    assert message["reasoning"] == "x"
