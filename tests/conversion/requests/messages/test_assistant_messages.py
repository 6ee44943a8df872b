"""Assistant turns as assistant messages."""

import pytest

from gateway.conversion.provider_state import id_with
from tests.conversion.converting import (
    assistant,
    call,
    convert,
    messages_of,
    request_of,
    result,
    text,
    thinking,
    user,
)

CALL_CONTENTS = {"null": {"content": None}, "empty": {"content": ""}, "omit": {}}
EXTRAS = {"extra_content": {"google": {"thought_signature": "skip_thought_signature_validator"}}}
GEMINI = {"provider": "gemini", "tool_call_extras": EXTRAS}
SIGNED = {"google": {"thought_signature": "S+/="}}


def message_of(*blocks, options=None):
    """The assistant message for one turn, its calls answered."""
    answers = [result(block["id"], "x") for block in blocks if isinstance(block, dict) and "id" in block]
    return messages_of("a", assistant(*blocks), user(*answers, "b"), options=options)[1]


def function(name, arguments="{}"):
    return {"name": name, "arguments": arguments}


def test_text_alone_has_no_tool_calls_key():
    assert message_of("a") == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize("form", CALL_CONTENTS)
def test_a_call_alone_has_the_content_that_the_provider_takes(form):
    alone = message_of(call(), options={"call_content": form})
    assert {key: alone[key] for key in alone if key == "content"} == CALL_CONTENTS[form]
    beside = message_of(text("a"), call(), options={"call_content": form})
    assert beside["content"] == "a"


def test_a_call_alone_has_null_content():
    assert message_of(call()) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "t1", "type": "function", "function": function("get_time")}],
    }


def test_text_on_both_sides_of_a_call_goes_to_the_content():
    message = message_of(text("a", citations=[{}]), call(), "b")
    assert message["content"] == "ab"
    assert len(message["tool_calls"]) == 1


def test_texts_of_merged_messages_are_paragraphs():
    messages = messages_of("a", assistant("c"), assistant("d", "e"), "f")
    assert messages[1]["content"] == "c\n\nde"


def test_arguments_are_compact_json_in_the_given_order_without_escapes():
    assert message_of(call(b=1, a="é"))["tool_calls"][0]["function"] == function(
        "get_time", '{"b":1,"a":"é"}'
    )


@pytest.mark.parametrize(
    ("name", "toolset", "sent"),
    [
        ("fs.read", None, "fs_read_4074bc02"),
        ("zoom", "computer", "computer__zoom"),
        ("x" * 65, None, "x" * 55 + "_"),
    ],
)
def test_names_of_the_history_are_those_of_the_tools(name, toolset, sent):
    block = {
        **call(name=name),
        **({"toolset_name": toolset} if toolset else {}),
        "caller": {"type": "direct"},
    }
    assert message_of(block)["tool_calls"][0]["function"]["name"].startswith(sent)


@pytest.mark.parametrize("blank", [" ", "\n\n"])
def test_blank_text_is_dropped(blank):
    assert message_of(blank, call())["content"] is None
    assert [m["role"] for m in messages_of("a", assistant(blank), "b")] == ["user"]


def test_a_turn_of_dropped_thinking_disappears_and_its_neighbours_are_one():
    assert messages_of("a", assistant(thinking("x")), "b") == [{"role": "user", "content": "a\n\nb"}]


class TestOpaqueDataOfCalls:
    def calls(self, *blocks, **options):
        request = request_of("a", assistant(*blocks), user(*(result(block["id"], "x") for block in blocks)))
        outcome = convert(request, {**GEMINI, **options})
        return outcome.messages[1]["tool_calls"], outcome.codes

    def carrying(self, provider="gemini", model="claude-test", **extras):
        return id_with("call_1", {"p": provider, "m": model, "x": extras or {"extra_content": SIGNED}})

    def test_it_returns_to_its_call_and_the_id_is_plain(self):
        (one, two), codes = self.calls(call(self.carrying()), call("t2"))
        assert (one["id"], one["extra_content"]) == ("call_1", SIGNED)
        assert "extra_content" not in two
        assert codes == []

    def test_only_named_keys_return(self):
        (one,), _ = self.calls(call(self.carrying(extra_content=SIGNED, other=1)))
        assert "other" not in one

    @pytest.mark.parametrize("damaged", ["call_1_gw1_garbage!", "call_1_gw1_", "call_1_gw1_AAAA"])
    def test_what_cannot_be_read_is_missing_and_a_sentinel_stands_in(self, damaged):
        (one,), codes = self.calls(call(damaged))
        assert (one["id"], one["extra_content"]) == ("call_1", EXTRAS["extra_content"])
        assert sorted(codes) == ["defaulted", "dropped"]

    @pytest.mark.parametrize("other", [{"provider": "other"}, {"model": "other"}])
    def test_data_of_another_provider_or_model_is_dropped(self, other):
        (one,), codes = self.calls(call(self.carrying(**other)))
        assert one["extra_content"] == EXTRAS["extra_content"]
        assert sorted(codes) == ["defaulted", "dropped"]

    def test_the_sentinel_stands_on_the_first_call_only(self):
        (one, two), _ = self.calls(call("t1"), call("t2"))
        assert "extra_content" in one
        assert "extra_content" not in two

    def test_without_a_sentinel_nothing_stands_in(self):
        (one,), codes = self.calls(call("t1"), tool_call_extras={"extra_content": None})
        assert "extra_content" not in one
        assert codes == []

    def test_without_the_option_only_the_id_is_cut(self):
        (one,), codes = self.calls(call(self.carrying()), tool_call_extras={})
        assert one == {"id": "call_1", "type": "function", "function": function("get_time")}
        assert codes == []
