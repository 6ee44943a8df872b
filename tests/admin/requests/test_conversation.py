"""Conversations as cards: what is shown, and that nothing of any shape breaks the page or acts."""

import time

import pytest

from gateway.admin.requests.conversation import LONGEST_CARD, conversation, raster_address
from tests import hostile
from tests.hostile import PIXEL


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def all_cards(turn):
    for card in turn.cards:
        yield card
        yield from card.cards


def everything(shown):
    turns = [*shown.earlier, *shown.new, *filter(None, [shown.system, shown.answer])]
    return [card for turn in turns for card in all_cards(turn)]


def test_what_a_request_brought_is_told_from_what_was_said_before():
    one, two, three = ({"type": "text", "text": text} for text in ("one", "two", "three"))
    request = {"messages": [user(one), assistant(two), user(three)]}
    shown = conversation(request, {"content": [{"type": "text", "text": "four"}]})
    assert [turn.role for turn in shown.earlier] == ["user", "assistant"]
    assert [card.text for turn in shown.new for card in turn.cards] == ["three"]
    assert shown.answer.cards[0].html == "<p>four</p>\n"


def test_calls_and_results_are_cards_with_the_tools_name():
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": "*no*"}
    shown = conversation({"messages": [assistant(call), user(result)]}, None)
    [card] = shown.earlier[0].cards
    assert (card.kind, card.title, card.text) == ("call", "Bash", '{\n  "command": "ls"\n}')
    [card] = shown.new[0].cards
    assert (card.kind, card.title, card.failed) == ("result", "Bash", True)
    assert [(inner.text, inner.html) for inner in card.cards] == [("*no*", "")]


def test_an_image_is_shown_when_it_is_what_it_says():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    [card] = conversation({"messages": [user(image)]}, None).new[0].cards
    assert card.image == f"data:image/png;base64,{PIXEL}"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("image/svg+xml", hostile.SVG),
        ("image/png", hostile.SVG),
        ("text/html", PIXEL),
        ("image/png", PIXEL + '"'),
        ("image/png", ""),
        (None, PIXEL),
        (["image/png"], PIXEL),
    ],
)
def test_anything_else_that_claims_to_be_an_image_is_not(kind, data):
    assert raster_address(kind, data) == ""


def test_a_long_text_is_cut_and_its_rest_is_counted():
    [card] = conversation({"messages": [user({"type": "text", "text": "x" * 30_000})]}, None).new[0].cards
    assert card.text.endswith("… 10,000 more characters")
    assert len(card.text) < LONGEST_CARD + 100
    assert card.html == ""


def test_of_a_very_long_conversation_the_newest_is_shown():
    request = {
        "messages": [user({"type": "text", "text": f"{number} " + "x" * 15_000}) for number in range(100)]
    }
    shown = conversation(request, None)
    assert shown.left_out == 60
    assert shown.new[-1].cards[0].text.startswith("99 ")


def test_a_hostile_conversation_is_inert():
    shown = conversation(hostile.REQUEST, hostile.ANSWER)
    cards = everything(shown)
    assert len(cards) > 50
    for card in cards:
        for tripwire in hostile.TRIPWIRES:
            assert tripwire not in card.html
        assert card.image in ("", f"data:image/png;base64,{PIXEL}")
        for text in (card.text, card.title, card.html):
            assert not set(text) & set("\x00\x07\x1b\x9b\u202e\u200b\ud83d\udc00")


@pytest.mark.parametrize(
    "request_body",
    [
        None,
        [],
        "x",
        {},
        {"messages": "x"},
        {"messages": [None, {}, {"content": 7}], "tools": [3], "system": 4},
    ],
)
def test_a_request_of_any_shape_is_no_error(request_body):
    conversation(request_body, request_body)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": "a"},
        {"type": "tool_use", "name": "n" * 50, "input": {}},
        {"type": "tool_result", "content": [{"type": "text", "text": ""}]},
        {"type": "x"},
        1,
    ],
)
def test_very_many_small_blocks_are_laid_out_in_a_moment(block):
    began = time.thread_time()
    shown = conversation({"messages": [{"role": "user", "content": [block] * 100_000}]}, None)
    assert time.thread_time() - began < 3
    cards = shown.new[0].cards
    assert len(cards) < 10_000 and cards[-1].text == f"… +{100_001 - len(cards):,}"


def test_very_many_empty_messages_are_counted():
    shown = conversation({"messages": [{"role": "user", "content": []}] * 100_000}, None)
    assert len(shown.new) + shown.left_out == 100_000 and len(shown.new) < 10_000


def test_what_tools_and_people_wrote_takes_no_markdown_from_the_answers():
    said = {"type": "text", "text": "## A heading"}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "x" * 5_000}
    reminder = {"type": "text", "text": "y" * 3_000}
    messages = [message for _ in range(50) for message in (user(reminder, result), assistant(said))]
    shown = conversation({"messages": messages}, None)
    answers = [card for turn in shown.earlier for card in turn.cards if turn.role == "assistant"]
    assert len(answers) == 50 and all("<h2>" in card.html for card in answers)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<system-reminder>Today is Monday.</system-reminder>\n", "reminder"),
        ("<system-reminder>Today</system-reminder> and what somebody typed", "text"),
        ("what is a <system-reminder>?", "text"),
    ],
)
def test_what_a_client_put_in_is_folded_and_what_somebody_typed_is_not(text, kind):
    shown = conversation({"messages": [user({"type": "text", "text": text})]}, None)
    [card] = shown.new[0].cards
    assert (card.kind, card.text) == (kind, text)
