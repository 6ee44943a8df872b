"""One table of block kinds: each room has what a row promises, and nothing beside the rows."""

import re
from pathlib import Path
from typing import get_args

import pytest

from gateway.admin.requests import conversation
from gateway.conversion import block_kinds
from gateway.conversion.block_kinds import BLOCK_KINDS, BlockKind, Shown, becoming, kind_of
from gateway.conversion.requests.messages import server_results, user_content
from gateway.conversion.tokens import messages
from gateway.conversion.validation import block_checks
from gateway.errors import InvalidRequest
from gateway.history.search.tokenizer import message_texts
from tests.conversion.converting import assistant, convert, request_of, user

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "conversion.md").read_text()


def test_each_kind_that_becomes_parts_or_text_has_its_converter():
    assert set(user_content._CONVERTERS) == becoming("parts")
    assert set(server_results._READERS) == becoming("text")


def test_each_kind_that_is_counted_apart_has_its_way():
    counting = messages._Messages([], None, None, None, spoken_later=False)
    known = {name for name, count in counting._counters.items() if count is not messages._nothing}
    assert known == {kind.name for kind in BLOCK_KINDS.values() if kind.counted == "apart"}


def test_checks_and_cards_are_of_kinds_that_are_in_the_table():
    assert set(block_checks._CHECKS) <= set(BLOCK_KINDS)
    assert set(conversation._CARDS) == set(get_args(Shown))


def test_each_kind_is_documented():
    # those are said together: the results of server tools
    rest = {name for name in becoming("text") if name.endswith("_result")}
    assert set(BLOCK_KINDS) - rest - set(re.findall(r"[a-z_]+", DOCUMENTED)) == set()


@pytest.fixture
def new_kind(monkeypatch):
    """A kind with a row and nothing else."""
    row = BlockKind("hologram", frozenset({"user", "assistant", "tool_result"}), "parts", searched=("title",))
    monkeypatch.setattr(block_kinds, "BLOCK_KINDS", {**BLOCK_KINDS, "hologram": row})
    for checks in (*block_checks._BLOCKS_OF.values(), block_checks._RESULT_BLOCKS):
        monkeypatch.setitem(checks, "hologram", block_checks._anything)
    return {"type": "hologram", "title": "a title", "secret": "x"}


def test_a_row_without_a_converter_is_left_out_with_an_entry_of_the_ledger(new_kind):
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [new_kind]}
    made = convert(request_of(user("hi", new_kind), assistant(new_kind, call), user(result)))
    said = "no way to send a block of type hologram"
    assert [(code, path) for code, path, note in made.entries if said in note] == [
        ("dropped", "messages.0.content.1")
    ]
    assert "hologram" not in str(made.body) and "browser" not in str(made.body)
    assert "a title" in list(message_texts({"content": [new_kind]}))
    assert conversation.conversation({"messages": [{"role": "user", "content": [new_kind]}]}, None).new


def test_a_kind_that_no_row_has_is_refused_with_those_that_may_stand_there():
    with pytest.raises(InvalidRequest, match="hologram") as refused:
        convert(request_of(user({"type": "hologram"})))
    assert "'search_result'" in str(refused.value)


@pytest.mark.parametrize("odd", [None, 3, [], {}, "hologram"])
def test_what_is_no_known_kind_has_no_row(odd):
    assert kind_of(odd) is None
