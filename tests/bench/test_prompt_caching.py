"""What the conversion makes of a session reaches the provider's cache as an ideal client's requests do."""

import json
from decimal import Decimal

import pytest

from bench.prompt_caching.recorded import recordings
from bench.prompt_caching.run import GOAL, recorded_outcome, replayed
from bench.prompt_caching.sessions import forked, many_subagents, newer_client, tool_search, with_subagents
from bench.prompt_caching.strategies import STRATEGIES
from tests.fakes.prompt_caches.rules import FAMILIES, AnthropicMarks, OpenAIBreakpoints

BY_NAME = {family.name: family for family in FAMILIES}
RECORDINGS = dict(recordings())


@pytest.mark.parametrize("family", FAMILIES, ids=BY_NAME)
def test_a_session_of_50_turns_with_subagents_reads_98_percent_of_the_ideal(family):
    outcome = replayed(with_subagents(50), family)
    assert outcome.reached >= GOAL
    # a marker of Anthropic's is the client's own; it leaves unmarked what it says behind a turn's results, so
    # a little more is written than the ideal client would
    slack = 1.1 if family.cache is AnthropicMarks else 1.02
    assert outcome.ours.share("written") <= outcome.ideal.share("written") * slack
    assert float(outcome.ours.cost) <= float(outcome.ideal.cost) * 1.03


@pytest.mark.parametrize("session", [many_subagents, forked, newer_client])
def test_other_shapes_of_sessions_reach_it_with_breakpoints_too(session):
    assert replayed(session(), BY_NAME["openai-5.6-responses"]).reached >= GOAL


def test_tools_that_are_loaded_late_leave_the_prefix_alone_where_the_protocol_has_a_place_for_them():
    family = BY_NAME["openai-5.6-responses"]
    assert replayed(tool_search(), family).reached < 0.8
    assert replayed(tool_search(), family, {"late_tools": "items"}).reached >= GOAL


def test_an_hour_is_not_written_for_twelve_unless_it_is_wanted():
    def longer(options):
        outcome = replayed(with_subagents(6), BY_NAME["openai-5.6-responses"], options)
        return sum(receipt.written_long for receipt in outcome.ours.receipts)

    assert longer({}) == longer({"cache_lifetime": "client"}) == 0


def test_without_breakpoints_at_the_ends_of_turns_the_newer_models_read_little():
    family = BY_NAME["openai-5.6-responses"]
    assert family.cache is OpenAIBreakpoints
    assert replayed(with_subagents(20), family, {"cache_control": "strip"}).reached < 0.5


@pytest.mark.parametrize("family", FAMILIES, ids=BY_NAME)
@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_recorded_conversations_read_98_percent_of_the_ideal(name, family):
    outcome = recorded_outcome(RECORDINGS[name], family)
    if name == "tool search" and family.name != "anthropic":
        # the recorded client loads a tool, and the list in front of the conversation grows by it
        assert 0.45 < outcome.reached < GOAL
    elif family.name == "claude-on-openrouter":
        # the client's own markers leave its first reminder behind them, much of what so short a session has
        assert outcome.reached >= 0.91
    else:
        assert outcome.reached >= GOAL
        assert outcome.ours.cost <= outcome.ideal.cost * Decimal("1.01")


def test_the_recordings_show_what_real_clients_do():
    assert RECORDINGS.keys() == {
        "tools", "thinking", "tool search", "compaction", "subagents", "resumed", "forked", "parallel",
    }  # fmt: skip
    for turns in RECORDINGS.values():
        assert [turn.at for turn in turns] == sorted(turn.at for turn in turns)
    assert any(turn.subagent for turn in RECORDINGS["subagents"])
    assert len({turn.session_id for turn in RECORDINGS["forked"]}) == 2
    loaded = json.dumps(RECORDINGS["tool search"][-1].request["messages"])
    assert '"tool_reference"' in loaded


@pytest.mark.parametrize("name", ["turn-ends", "one-form"])
def test_a_strategy_that_is_switched_off_costs_more_and_is_on_again_afterwards(name):
    session, family = with_subagents(4), BY_NAME["openai-5.6-chat"]
    before = replayed(session, family, both=False).ours.cost
    with STRATEGIES[name].switched_off() as options:
        assert replayed(session, family, options, both=False).ours.cost > before
    assert replayed(session, family, both=False).ours.cost == before
