"""Which arm a session is given."""

import json
import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.shares import (
    Shares,
    Weighting,
    identity_of,
    shares_of,
    weights_of,
    with_share,
)

SALT = "0123456789abcdef"
OLD, NEW, THIRD = "acme/old", "acme/new", "bolt/third"
SESSIONS = [str(number).encode() for number in random.Random(17).sample(range(10**12), 10_000)]


def shares(weights, salt=SALT):
    return Shares(salt, (Weighting(0.0, weights),))


def arms(weights, sessions=SESSIONS, usable=(OLD, NEW, THIRD), salt=SALT):
    divided = shares(weights, salt)
    return {session: divided.arm(session, 0.0, usable).name for session in sessions}


@pytest.mark.parametrize(
    "weights",
    [
        {OLD: 1.0, NEW: 1.0},
        {OLD: 90.0, NEW: 10.0},
        {OLD: 99.0, NEW: 1.0},
        {OLD: 5.0, NEW: 3.0, THIRD: 2.0},
        {OLD: 0.001, NEW: 1_000_000.0},
    ],
)
def test_ten_thousand_sessions_are_within_one_percentage_point_of_the_weights(weights):
    found = Counter(arms(weights).values())
    for name, share in shares_of(weights).items():
        assert abs(found[name] / len(SESSIONS) - share) < 0.01


def test_an_arm_is_told_with_its_share():
    arm = shares({OLD: 3.0, NEW: 1.0}).arm(b"one", 0.0, (OLD, NEW))
    assert arm.share == (0.75 if arm.name == OLD else 0.25)
    assert arm.moved_from == ""


def test_another_salt_divides_the_sessions_anew():
    weights = {OLD: 1.0, NEW: 1.0}
    first, second = arms(weights), arms(weights, salt="another")
    same = sum(first[one] == second[one] for one in SESSIONS)
    assert abs(same / len(SESSIONS) - 0.5) < 0.02


def test_an_arm_that_cannot_be_used_gives_its_sessions_alone_to_the_others():
    weights = {OLD: 5.0, NEW: 3.0, THIRD: 2.0}
    before, after = arms(weights), arms(weights, usable=(OLD, THIRD))
    assert all(after[one] == before[one] for one in SESSIONS if before[one] != NEW)
    heirs = Counter(after[one] for one in SESSIONS if before[one] == NEW)
    assert abs(heirs[OLD] / heirs.total() - 5 / 7) < 0.03


def test_without_a_usable_arm_that_has_a_weight_there_is_none():
    assert shares({OLD: 1.0}).arm(b"one", 0.0, (NEW,)) is None


@given(
    st.dictionaries(st.sampled_from([OLD, NEW, THIRD]), st.floats(0.001, 1e6), min_size=2),
    st.floats(1.0, 1e6),
    st.text(max_size=20),
)
def test_raising_a_share_never_moves_a_session_away_from_the_arm_nor_between_others(weights, factor, salt):
    raised = next(iter(weights))
    more = {**weights, raised: weights[raised] * factor}
    before, after = (arms(one, SESSIONS[:100], salt=salt) for one in (weights, more))
    for session in SESSIONS[:100]:
        assert after[session] in (before[session], raised)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.integers(1, 3))
def test_the_steps_of_a_ramp_move_a_session_at_most_once_each_and_never_back(steps, number_of_others):
    others = {f"p/{number}": number + 1.0 for number in range(number_of_others)}
    names = (*others, NEW)
    stages = [arms(with_share(others, NEW, step), SESSIONS[:100], names) for step in sorted(steps)]
    for earlier, later in pairwise(stages):
        for session in SESSIONS[:100]:
            assert later[session] in (earlier[session], NEW)


def test_with_share_gives_the_share_and_keeps_the_proportion_of_the_rest():
    found = shares_of(with_share({OLD: 30.0, THIRD: 10.0, NEW: 7.0}, NEW, 0.2))
    assert found[NEW] == pytest.approx(0.2)
    assert found[OLD] / found[THIRD] == pytest.approx(3)


def test_an_arm_with_nothing_has_no_weight():
    assert set(with_share({OLD: 1.0}, NEW, 1.0)) == {NEW}
    assert set(with_share({OLD: 1.0}, NEW, 0.0)) == {OLD}


def test_two_targets_of_one_name_are_one_arm():
    assert weights_of([(OLD, 1.0), (NEW, None), (OLD, 2.0)]) == {OLD: 3.0}


def test_a_phase_is_in_force_from_its_moment_on():
    divided = Shares(
        SALT, (Weighting(0.0, {OLD: 1.0}), Weighting(100.0, {NEW: 1.0}), Weighting(200.0, {THIRD: 1.0}))
    )
    at = [divided.arm(b"s", now, (OLD, NEW, THIRD)).name for now in (-5, 0, 99.999, 100, 199, 200, 1e12)]
    assert at == [OLD, OLD, OLD, NEW, NEW, THIRD, THIRD]


def test_only_the_sessions_that_a_step_moved_are_told_so():
    before, after = with_share({OLD: 1.0}, NEW, 0.05), with_share({OLD: 1.0}, NEW, 0.2)
    divided = Shares(SALT, (Weighting(0.0, after, before, 0.2),))
    earlier, now = arms(before), {one: divided.arm(one, 0.0, (OLD, NEW)) for one in SESSIONS}
    moved = {one for one in SESSIONS if now[one].moved_from}
    assert moved == {one for one in SESSIONS if earlier[one] != now[one].name}
    assert {(now[one].moved_from, now[one].name) for one in moved} == {(OLD, NEW)}
    assert abs(len(moved) / len(SESSIONS) - 0.15) < 0.01


SESSION = "8d4e1f0a-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("headers", "request_"),
    [
        ({"x-claude-code-session-id": SESSION}, {}),
        ({"x-claude-code-session-id": SESSION, "x-claude-code-agent-id": "sub"}, {"metadata": "odd"}),
        ({}, {"metadata": {"user_id": f"user_ab_account_cd_session_{SESSION}"}}),
        ({}, {"metadata": {"user_id": json.dumps({"device_id": "d", "session_id": SESSION})}}),
    ],
)
def test_the_session_is_told_by_a_header_or_the_metadata(headers, request_):
    turns = [{**request_, "messages": [{"role": "user", "content": text}]} for text in ("one", "two")]
    found = {identity_of(headers, turn, owner) for turn in turns for owner in ("user:1", "user:2")}
    assert found == {SESSION.encode()}


def test_without_a_session_owner_and_opening_stay_the_same_through_the_turns():
    opening = {"role": "user", "content": [{"type": "text", "text": "Hello", "cache_control": {}}]}
    later = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}, {"role": "assistant"}]
    first = identity_of({}, {"messages": [opening]}, "user:1")
    assert identity_of({}, {"messages": later, "metadata": {"user_id": "u"}}, "user:1") == first
    assert identity_of({}, {"messages": [opening]}, "user:2") != first
    assert identity_of({}, {"messages": [{"role": "user", "content": "Other"}]}, "user:1") != first


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda of: st.lists(of) | st.dictionaries(st.text(), of),
)


@given(st.dictionaries(st.sampled_from(["messages", "metadata"]), JSON))
def test_no_request_has_no_identity(request_):
    assert isinstance(identity_of({}, request_, "o"), bytes)
    assert isinstance(
        identity_of({}, {"metadata": {"user_id": request_}, "messages": [request_]}, "o"), bytes
    )


@pytest.mark.parametrize(
    "user", ["{", "{}", "[" * 900, '{"session_id": 7}', "_session_", "\ud800_session_\ud800"]
)
def test_an_odd_user_id_is_no_session_that_breaks(user):
    assert identity_of({}, {"metadata": {"user_id": user}}, "o")


def test_a_huge_opening_costs_no_more_than_its_beginning():
    content = [{"type": "text", "text": "x" * 1000}] * 20_000
    request_ = {"messages": [{"role": "user", "content": content}]}
    few = {"messages": [{"role": "user", "content": content[:2]}]}
    assert identity_of({}, request_, "o") == identity_of({}, few, "o")
