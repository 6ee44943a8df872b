"""The system prompt and system messages."""

import pytest

from tests.conversion.converting import assistant, convert, request_of, system, text

ATTRIBUTION = "x-anthropic-billing-header: cc_version=2.1.197.1c0; cc_entrypoint=sdk-cli;"
MARKER = {"type": "ephemeral"}


def first_of(value, options=None):
    return convert(request_of(system=value), options).messages[0]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("S", "S"),
        (" S\n", " S\n"),
        ([text("A"), text("B")], "A\n\nB"),
        ([text("A"), text(" "), text("")], "A"),
        ([text(ATTRIBUTION), text("A")], "A"),
        (f"{ATTRIBUTION}\nA", "A"),
    ],
)
def test_the_system_prompt_is_one_leading_message(value, sent):
    assert first_of(value) == {"role": "system", "content": sent}


@pytest.mark.parametrize("value", ["", " \n", [], [text("")], [text(ATTRIBUTION)], None])
def test_a_blank_system_prompt_makes_no_message(value):
    assert convert(request_of(system=value)).messages == [{"role": "user", "content": "hi"}]


def test_the_role_follows_the_profile():
    messages = convert(request_of("a", system("s"), system="S"), {"system_role": "developer"}).messages
    assert [message["role"] for message in messages] == ["developer", "user", "developer"]


def test_the_attribution_stays_where_the_profile_says_so():
    sent = first_of([text(ATTRIBUTION), text("A")], {"strip_attribution": False})["content"]
    assert sent == f"{ATTRIBUTION}\n\nA"


def test_two_conversations_share_their_prefix_without_the_attribution():
    first = convert(request_of("a", system=[text(f"{ATTRIBUTION} 1"), text("A")]))
    second = convert(request_of("a", system=[text(f"{ATTRIBUTION} 2"), text("A")]))
    assert first.messages == second.messages
    assert first.entries == []


def test_marked_blocks_stay_parts_where_markers_are_kept():
    blocks = [text("A"), text("B", cache_control=MARKER)]
    assert first_of(blocks, {"cache_control": "keep"})["content"] == blocks
    assert first_of(blocks)["content"] == "A\n\nB"


@pytest.mark.parametrize("content", [("s",), ("s", "t"), (text("s", cache_control=MARKER),)])
def test_a_system_message_keeps_its_place(content):
    messages = convert(request_of("a", system(*content), assistant("b"), "c")).messages
    assert [message["role"] for message in messages] == ["user", "system", "assistant", "user"]
    assert messages[1]["content"] == "\n\n".join(("s", "t")[: len(content)])


def test_a_system_message_may_be_the_last():
    assert convert(request_of("a", system("s"))).messages[-1] == {"role": "system", "content": "s"}


def test_leading_only_templates_get_reminders_in_the_user_text():
    outcome = convert(request_of("a", system("s"), system="S"), {"mid_system": "user"})
    assert outcome.codes == ["moved"]
    assert outcome.messages == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "a\n\n<system-reminder>\ns\n</system-reminder>"},
    ]
