"""A mapping's sessions divided between two targets, over HTTP."""

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates
from gateway.routing.shares import Shares, Weighting, with_share
from gateway.routing.snapshot import Target
from tests.conftest import FixedConfiguration, asking, rule, snapshot_of
from tests.fakes.provider import completion, error

SALT = "0123456789abcdef"
ONE, TWO = "first/one", "second/two"


@pytest.fixture
def divided(two):
    """`two` with shares; call it with weightings, or with weights."""
    two.first.answers("one", completion("one"))
    two.second.answers("two", completion("two"))

    def divide(*weightings, targets=(("first", "one"), ("second", "two")), **weights):
        two.configure()
        given = weightings or (Weighting(0.0, {ONE: weights["one"], TWO: weights["two"]}),)
        mapping = dataclasses.replace(
            rule(), targets=tuple(Target(*target) for target in targets), shares=Shares(SALT, given)
        )
        snapshot = two.bench.gateway.configuration.snapshot
        again = snapshot_of(providers=snapshot.providers.values(), rules=[mapping])
        two.bench.set(configuration=FixedConfiguration(again))
        return two

    return divide


async def asked(two, session, *, endpoint="messages", **fields):
    """Ask in a session; who answered, and what was recorded."""
    headers = {"x-claude-code-session-id": str(session)}
    answer = await two.ask(asking(**fields), headers=headers)
    assert answer.status == 200
    return answer.json["content"][0]["text"], two.bench.recorder.last


async def test_sessions_are_divided_by_weight_and_the_record_says_the_arm(divided):
    two = divided(one=1.0, two=3.0)
    texts = []
    for session in range(40):
        text, outcome = await asked(two, session)
        texts.append(text)
        arm, share = {"one": (ONE, 0.25), "two": (TWO, 0.75)}[text]
        assert (outcome.arm, outcome.arm_share) == (arm, share)
        assert outcome.provider == arm.partition("/")[0]
        assert outcome.ledger == []
    assert 22 <= texts.count("two") <= 38


async def test_a_key_that_needs_prices_gets_no_arm_without_one(divided, monkeypatch):
    two = divided(one=1.0, two=3.0)
    monkeypatch.setattr(type(two.bench.gateway.limiter), "wants_prices", lambda _limiter, _key: True)
    snapshot = two.bench.gateway.configuration.snapshot
    prices = PriceBook((PriceRule(Price(Rates(Decimal(1), Decimal(1))), "one"),))
    priced = dataclasses.replace(snapshot, prices=prices)
    two.bench.set(configuration=FixedConfiguration(priced))
    for session in range(8):
        text, outcome = await asked(two, session)
        assert (text, outcome.arm, outcome.arm_share) == ("one", ONE, 1.0)


async def test_a_session_keeps_its_arm_through_fifty_turns_and_its_subagents_with_it(divided):
    two = divided(one=1.0, two=1.0)
    for session in ("a", "b", "c"):
        messages = [{"role": "user", "content": "go"}]
        texts = set()
        for turn in range(50):
            agent = {"x-claude-code-agent-id": f"agent-{turn}"} if turn % 5 == 0 else {}
            answer = await two.ask(
                {**asking(), "messages": messages}, headers={"x-claude-code-session-id": session, **agent}
            )
            texts.add(answer.json["content"][0]["text"])
            messages = [
                *messages,
                {"role": "assistant", "content": f"turn {turn}"},
                {"role": "user", "content": "on"},
            ]
        assert len(texts) == 1


async def test_the_other_targets_stand_in_when_the_arm_cannot_answer(divided):
    two = divided(one=1.0, two=1_000_000.0)
    two.second.answers("two", error(503, "no"))
    text, outcome = await asked(two, "s")
    assert text == "one"
    assert (outcome.arm, outcome.provider) == (TWO, "first")


async def test_a_target_without_a_weight_only_stands_in(divided):
    two = divided(Weighting(0.0, {TWO: 1.0}))
    assert {(await asked(two, session))[0] for session in range(20)} == {"two"}
    two.second.answers("two", error(503, "no"))
    assert (await asked(two, "s"))[0] == "one"


async def test_a_disabled_arm_gets_no_session(divided):
    two = divided(one=1.0, two=1_000_000.0)
    snapshot = two.bench.gateway.configuration.snapshot
    second = dataclasses.replace(snapshot.providers["second"], enabled=False)
    off = dataclasses.replace(snapshot, providers={**snapshot.providers, "second": second})
    two.bench.set(configuration=FixedConfiguration(off))
    text, outcome = await asked(two, "s")
    assert (text, outcome.arm, outcome.arm_share) == ("one", ONE, 1.0)


async def test_each_process_switches_at_the_time_that_its_snapshot_names(divided):
    started = 1_000_000.0
    two = divided(Weighting(0.0, {ONE: 1.0}), Weighting(started, {TWO: 1.0}, {ONE: 1.0}, 1.0))
    for seconds, expected in ((-0.001, "one"), (0.0, "two"), (3600.0, "two")):
        moment = datetime.fromtimestamp(started + seconds, UTC)
        two.bench.set(now=lambda moment=moment: moment)
        assert (await asked(two, "s"))[0] == expected


async def test_the_ledger_says_once_that_a_step_moved_the_session(divided):
    before, after = with_share({ONE: 1.0}, TWO, 0.05), with_share({ONE: 1.0}, TWO, 0.2)
    two = divided(Weighting(0.0, after, before, 0.2))
    going_on = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "on"},
    ]
    shares = two.bench.gateway.configuration.snapshot.rules[0].shares
    arms = {str(number): shares.arm(str(number).encode(), 0.0, (ONE, TWO)) for number in range(200)}
    moved = next(session for session, arm in arms.items() if arm.moved_from)
    stayed = next(session for session, arm in arms.items() if not arm.moved_from)
    said = "from first/one to second/two, by the step to 20 %"
    _, first = await asked(two, moved, messages=going_on)
    assert [entry for entry in first.ledger if entry["code"] == "moved"] == [
        {"code": "moved", "path": "model", "note": said}
    ]
    assert (await asked(two, moved, messages=going_on))[1].ledger == []
    assert (await asked(two, stayed, messages=going_on))[1].ledger == []


async def test_a_session_that_begins_after_the_step_was_not_moved(divided):
    before, after = {ONE: 1.0}, {TWO: 1.0}
    two = divided(Weighting(0.0, after, before, 1.0))
    assert (await asked(two, "new"))[1].ledger == []


async def test_without_weights_the_first_target_gets_all_and_no_arm_is_recorded(two):
    two.first.answers("one", completion("one"))
    text, outcome = await asked(two, "s")
    assert (text, outcome.arm, outcome.arm_share) == ("one", "", None)
