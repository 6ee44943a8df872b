"""Rules that no name leads to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.models.configuration.condition_words import zone_of
from gateway.routing import names
from gateway.routing.conditions import compiled
from gateway.routing.reach import Unreached, covers, never_reached, position_for
from gateway.routing.snapshot import MappingRule

patterns_of_few_letters = st.text(alphabet="ab*", min_size=1, max_size=6)


def rule(number, pattern, position=0, **fields):
    return MappingRule(
        **{"id": number, "position": position, "pattern": pattern, "exact": "*" not in pattern,
           "targets": (), "condition": compiled(fields.pop("when", {}), zone_of), **fields}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "other", "does"),
    [("*", "*sonnet*", True), ("*", "claude", True), ("claude-*", "claude-opus-*", True),
     ("*sonnet*", "*", False), ("*opus*", "*sonnet*", False), ("Claude-*", "claude-X*", True),
     ("*-5", "*-5*", False), ("a", "A", True), ("a", "a*", False)],
)  # fmt: skip
def test_a_pattern_covers_another_when_it_means_all_its_names(pattern, other, does):
    assert covers(pattern, other) is does


@given(patterns_of_few_letters, patterns_of_few_letters, st.lists(st.text("abc", max_size=4), max_size=6))
def test_what_is_covered_has_no_name_of_its_own(pattern, other, stars):
    filled = iter([*stars, *[""] * 6])
    name = "".join(next(filled) if letter == "*" else letter for letter in other)
    assert not covers(pattern, other) or names.matches(pattern, name)


def test_rules_behind_one_that_takes_all_their_names_are_never_reached():
    everything = rule(1, "*")
    found = never_reached(
        [rule(0, "*opus*"), everything, rule(2, "*sonnet*"), rule(3, "exact"), rule(4, "*")]
    )
    assert found == {2: Unreached(everything), 4: Unreached(everything)}


def test_disabled_rules_take_nothing_and_public_names_reach_their_rule():
    rules = [rule(1, "*", enabled=False), rule(2, "*a*"), rule(3, "*ab*", public_names=("claude-x",))]
    assert never_reached(rules) == {}


def test_a_rule_for_some_purposes_leaves_the_others_to_those_behind_it():
    some = rule(1, "*", when={"class": ["subagent", "main"]})
    behind = rule(2, "*a*", when={"class": ["main"]})
    assert never_reached([some, rule(3, "*"), behind]) == {2: Unreached(some)}
    assert position_for([some], "*a*") is None


def test_a_name_that_another_rule_has_first_is_never_reached():
    first = rule(1, "gpt-5")
    assert never_reached([first, rule(2, "GPT-5")]) == {2: Unreached(first)}


def test_a_new_pattern_is_placed_in_front_of_the_first_that_would_take_its_names():
    rules = [rule(1, "*opus*", 10), rule(2, "*", 20), rule(3, "*", 30)]
    assert position_for(rules, "*sonnet*") == 19
    assert position_for(rules, "*opus-5*") == 9
    assert position_for(rules, "gpt-5") is None
    assert position_for([], "*") is None
