import asyncio
import threading
from datetime import UTC, datetime

import pytest

from gateway.errors import NotAllowed, TooManyRequests
from gateway.limits.limiter import FREE, Limiter
from gateway.limits.meters import Need
from gateway.limits.stores import MemoryStore, StoreUnavailable
from gateway.routing.snapshot import KeyEntry, KeyLimits

NOON = datetime(2026, 8, 8, 12, 0, tzinfo=UTC).timestamp()
NEED = Need(input_tokens=100, output_tokens=10, cost=1_000)


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


class Away(MemoryStore):
    """A store behind a network that is cut until `back` is set."""

    local = False

    def __init__(self) -> None:
        super().__init__()
        self.there = True

    def charge(self, *args, **kwargs):
        if not self.there:
            raise StoreUnavailable("cut")
        return super().charge(*args, **kwargs)


def key(**limits) -> KeyEntry:
    return KeyEntry(id=7, name="team", digest="d", limits=KeyLimits(**limits))


def nothing_spent(*_):
    return {}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limiter(clock):
    return Limiter(MemoryStore(), nothing_spent, clock=clock)


async def test_a_key_without_limits_is_free(limiter):
    assert await limiter.admit(KeyEntry(id=7, name="team", digest="d"), "r", "m", NEED) is FREE
    assert await limiter.admit(None, "r", "m", NEED) is FREE


async def test_the_third_request_of_two_is_refused_and_takes_nothing(limiter, clock):
    team = key(requests_per_minute=2)
    for _ in range(2):
        await limiter.admit(team, "r", "m", NEED)
    for _ in range(5):
        with pytest.raises(TooManyRequests):
            await limiter.admit(team, "r", "m", NEED)
    # refusals were not counted: when the minute has faded by half, there is room for one
    clock.now += 90
    await limiter.admit(team, "r", "m", NEED)
    with pytest.raises(TooManyRequests):
        await limiter.admit(team, "r", "m", NEED)


async def test_what_was_used_replaces_the_estimate(limiter):
    team = key(input_tokens_per_minute=150)
    admission = await limiter.admit(team, "r", "m", NEED)
    with pytest.raises(TooManyRequests):
        await limiter.admit(team, "r", "m", NEED)
    limiter.settle(admission, Need(input_tokens=20))
    await limiter.admit(team, "r", "m", NEED)


async def test_an_answer_longer_than_expected_fills_the_budget(limiter):
    team = key(token_budget=1_000)
    admission = await limiter.admit(team, "r", "m", NEED)
    limiter.settle(admission, Need(input_tokens=100, output_tokens=5_000))
    with pytest.raises(TooManyRequests, match="spend limit reached"):
        await limiter.admit(team, "r", "m", NEED)


async def test_a_failed_request_costs_nothing_of_the_budget(limiter):
    team = key(spend_budget=1_500)
    for _ in range(5):
        limiter.settle(await limiter.admit(team, "r", "m", NEED), Need())
    await limiter.admit(team, "r", "m", NEED)


async def test_a_budget_begins_anew_with_its_period(limiter, clock):
    team = key(spend_budget=1_000, budget_period="day")
    await limiter.admit(team, "r", "m", NEED)
    with pytest.raises(TooManyRequests):
        await limiter.admit(team, "r", "m", NEED)
    clock.now += 12 * 3600
    await limiter.admit(team, "r", "m", NEED)


async def test_a_budget_counts_what_the_history_knows_once():
    asked = []

    def spent(key_id, period):
        asked.append((key_id, period.kind))
        return {"spend": 900, "tokens": 0}

    store = MemoryStore()
    first = Limiter(store, spent, clock=Clock())
    second = Limiter(store, spent, clock=Clock())
    team = key(spend_budget=1_000)
    await first.admit(team, "r", "m", Need(cost=50))
    await second.admit(team, "r", "m", Need(cost=50))
    with pytest.raises(TooManyRequests):
        await second.admit(team, "r", "m", Need(cost=50))
    assert asked == [(7, "month")] * 2


async def test_only_so_many_requests_at_once(limiter):
    team = key(concurrent_requests=2)
    first = await limiter.admit(team, "r1", "m", NEED)
    await limiter.admit(team, "r2", "m", NEED)
    with pytest.raises(TooManyRequests, match="2 concurrent requests"):
        await limiter.admit(team, "r3", "m", NEED)
    limiter.settle(first, Need())
    await limiter.admit(team, "r4", "m", NEED)


async def test_a_place_of_a_process_that_died_becomes_free(clock):
    store = MemoryStore()
    dead = Limiter(store, nothing_spent, clock=clock)
    team = key(concurrent_requests=1)
    await dead.admit(team, "r1", "m", NEED)
    living = Limiter(store, nothing_spent, clock=clock)
    clock.now += 61
    await living.admit(team, "r2", "m", NEED)


async def test_while_the_store_is_away_requests_are_let_in(clock):
    store = Away()
    limiter = Limiter(store, nothing_spent, clock=clock)
    store.there = False
    assert await limiter.admit(key(requests_per_minute=1), "r", "m", NEED) is FREE
    limiter.stop()


async def test_or_refused_where_the_setting_says_so(clock):
    store = Away()
    limiter = Limiter(store, nothing_spent, clock=clock, fail_closed=True)
    store.there = False
    with pytest.raises(TooManyRequests, match="spend limit unavailable") as refusal:
        await limiter.admit(key(requests_per_minute=1), "r", "m", NEED)
    assert refusal.value.headers() == {"x-should-retry": "false"}
    limiter.stop()


async def test_after_a_failure_the_store_is_given_a_rest(clock):
    store = Away()
    limiter = Limiter(store, nothing_spent, clock=clock)
    team = key(requests_per_minute=1)
    store.there = False
    await limiter.admit(team, "r", "m", NEED)
    store.there = True
    assert await limiter.admit(team, "r", "m", NEED) is FREE
    clock.now += 2
    assert await limiter.admit(team, "r", "m", NEED) is not FREE
    limiter.stop()


async def test_a_store_that_hangs_does_not_hold_a_request(clock):
    class Hanging(MemoryStore):
        local = False
        released, left = threading.Event(), threading.Event()

        def charge(self, *args, **kwargs):
            self.released.wait()
            return super().charge(*args, **kwargs)

        def leave(self, *args):
            super().leave(*args)
            self.left.set()

    store = Hanging()
    team = key(concurrent_requests=1, requests_per_minute=5)
    impatient = Limiter(store, nothing_spent, clock=clock, patience=0.01)
    assert await impatient.admit(team, "r1", "m", NEED) is FREE
    store.released.set()
    # what came too late is given back: the only place is free again
    assert await asyncio.to_thread(store.left.wait, 10)
    patient = Limiter(store, nothing_spent, clock=clock, patience=10)
    assert (await patient.admit(team, "r2", "m", NEED)).place is not None
    impatient.stop()
    patient.stop()


async def test_a_settlement_that_the_store_did_not_take_is_made_later(clock):
    store = Away()
    limiter = Limiter(store, nothing_spent, clock=clock)
    team = key(token_budget=1_000)
    admission = await limiter.admit(team, "r", "m", NEED)
    store.there = False
    limiter.settle(admission, Need(input_tokens=2_000))
    store.there = True
    limiter.stop()
    again = Limiter(store, nothing_spent, clock=clock)
    with pytest.raises(TooManyRequests):
        await again.admit(team, "r", "m", NEED)
    again.stop()


async def test_what_has_no_price_is_free_for_a_spend_budget_unless_the_setting_refuses_it(clock):
    team, no_price = key(spend_budget=1_000), Need(input_tokens=100, cost=None)
    generous = Limiter(MemoryStore(), nothing_spent, clock=clock)
    await generous.admit(team, "r", "m", no_price)
    strict = Limiter(MemoryStore(), nothing_spent, clock=clock, refuse_unpriced=True)
    with pytest.raises(NotAllowed, match="the model m has no price"):
        await strict.admit(team, "r", "m", no_price)
    await strict.admit(key(token_budget=1_000), "r", "m", no_price)


async def test_a_history_that_does_not_answer_leaves_the_budget_unfilled_until_it_does(clock):
    answers = iter([StoreUnavailable("away"), {"spend": 2_000}])

    def spent(*_):
        told = next(answers)
        if isinstance(told, Exception):
            raise told
        return told

    limiter = Limiter(MemoryStore(), spent, clock=clock)
    team = key(spend_budget=1_000)
    assert await limiter.admit(team, "r", "m", NEED) is FREE
    with pytest.raises(TooManyRequests):
        await limiter.admit(team, "r", "m", NEED)


async def test_a_counter_that_the_store_lost_begins_again_with_what_the_history_knows(clock):
    store = MemoryStore()
    limiter = Limiter(store, lambda *_: {"spend": 2_000}, clock=clock)
    team = key(spend_budget=1_000)
    with pytest.raises(TooManyRequests):
        await limiter.admit(team, "r", "m", NEED)
    # what a restart of a Redis without persistence does
    store._counters.clear()
    for _ in range(2):
        with pytest.raises(TooManyRequests):
            await limiter.admit(team, "r", "m", NEED)


async def test_an_admission_that_comes_with_the_leaving_of_its_client_is_given_back(clock, monkeypatch):
    store = Away()
    limiter = Limiter(store, nothing_spent, clock=clock)
    team = key(concurrent_requests=1)
    loop = asyncio.get_running_loop()
    run = loop.run_in_executor

    def watched(*args):
        asked = run(*args)
        asked.add_done_callback(lambda _: asking.cancel())
        return asked

    monkeypatch.setattr(loop, "run_in_executor", watched)
    asking = asyncio.create_task(limiter.admit(team, "r", "m", NEED))
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)
    limiter.stop()
    assert store.take(["7:0"], "other", int(clock.now) + 60, now=clock.now) == "7:0"


async def test_a_settlement_that_fails_for_good_does_not_hold_up_those_behind_it(clock, caplog):
    class Refusing(Away):
        def charge(self, charges, *args, **kwargs):
            if any(charge.amount == 10**30 - 100 for charge in charges):
                raise OverflowError("too large")
            return super().charge(charges, *args, **kwargs)

    store = Refusing()
    limiter = Limiter(store, nothing_spent, clock=clock)
    team = key(input_tokens_per_minute=150, concurrent_requests=1)
    limiter.settle(await limiter.admit(team, "r", "m", NEED), Need(input_tokens=10**30))
    limiter.stop()
    assert store.take(["7:0"], "other", int(clock.now) + 60, now=clock.now) == "7:0"
