import asyncio
import dataclasses
import threading
import time
from datetime import UTC, datetime

import pytest

from gateway.errors import NotAllowed, TooManyRequests
from gateway.limits import reconciling
from gateway.limits.counting import Ask, CountingQueue, payment
from gateway.limits.limiter import FREE, Limiter
from gateway.limits.meters import Need, Subject, meters_of
from gateway.limits.reconciling import NoHistory
from gateway.limits.stores import MemoryStore, StoreUnavailable
from gateway.routing.snapshot import KeyEntry, KeyLimits

NOON = datetime(2026, 8, 8, 12, 0, tzinfo=UTC).timestamp()
NEED = Need(input_tokens=100, output_tokens=10, tokens=110, cost=1_000)


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

    def apply(self, *args, **kwargs):
        if not self.there:
            raise StoreUnavailable("cut")
        return super().apply(*args, **kwargs)


def key(**limits) -> KeyEntry:
    return KeyEntry(id=7, name="team", digest="d", limits=KeyLimits(**limits))


class Told:
    """A history that says what it is told to, and knows `known` requests."""

    def __init__(self, **spent: int) -> None:
        self.says = spent
        self.known: set[str] = set()
        self.away = False
        self.asked = []

    def spent(self, subject, period):
        if self.away:
            raise StoreUnavailable("away")
        self.asked.append((subject, period.kind))
        return dict(self.says)

    def ended(self, requests):
        return self.known.intersection(requests)


def used(cost: int) -> Need:
    return Need(cost=cost)


nothing_spent = NoHistory()


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
    limiter.settle(admission, Need(input_tokens=100, output_tokens=5_000, tokens=5_100))
    with pytest.raises(TooManyRequests, match="spend limit reached"):
        await limiter.admit(team, "r", "m", NEED)


async def test_an_answer_that_outlives_its_minute_counts_in_the_one_in_which_it_ends(limiter, clock):
    team = key(output_tokens_per_minute=2_000)
    admission = await limiter.admit(team, "r", "m", Need(output_tokens=1_000))
    clock.now += 150
    limiter.settle(admission, Need(output_tokens=20_000))
    with pytest.raises(TooManyRequests):
        await limiter.admit(team, "r2", "m", Need(output_tokens=1_000))
    # 19,000 tokens have faded when the minute after has passed
    clock.now += 90
    await limiter.admit(team, "r3", "m", Need(output_tokens=1_000))


async def test_a_short_answer_that_outlives_its_minute_gives_nothing_to_a_later_one(limiter, clock):
    team = key(output_tokens_per_minute=2_000)
    admission = await limiter.admit(team, "r", "m", Need(output_tokens=1_000))
    clock.now += 150
    limiter.settle(admission, Need(output_tokens=1))
    await limiter.admit(team, "r2", "m", Need(output_tokens=2_000))
    with pytest.raises(TooManyRequests):
        await limiter.admit(team, "r3", "m", Need(output_tokens=1))


async def test_a_failed_request_costs_nothing_of_the_budget(limiter):
    team = key(spend_budget=1_500)
    for _ in range(5):
        limiter.settle(await limiter.admit(team, "r", "m", NEED), Need())
    await limiter.admit(team, "r", "m", NEED)


async def test_a_budget_begins_anew_with_its_period(limiter, clock):
    team = key(spend_budget=1_000, budget_period="day")
    limiter.settle(await limiter.admit(team, "r", "m", NEED), used(1_000))
    with pytest.raises(TooManyRequests):
        await limiter.admit(team, "r", "m", NEED)
    clock.now += 12 * 3600
    await limiter.admit(team, "r", "m", NEED)


async def test_a_budget_counts_what_the_history_knows_once(clock):
    store, history = MemoryStore(), Told(spend=900)
    first, second = Limiter(store, history, clock=clock), Limiter(store, history, clock=clock)
    team = key(spend_budget=1_000)
    first.settle(await first.admit(team, "r1", "m", NEED), used(50))
    second.settle(await second.admit(team, "r2", "m", NEED), used(50))
    with pytest.raises(TooManyRequests, match="spend limit reached"):
        await second.admit(team, "r3", "m", NEED)
    assert history.asked == [(("key", 7), "month")]


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


async def test_a_signed_in_person_is_refused_then_in_a_sentence_that_the_client_shows(clock):
    store = Away()
    limiter = Limiter(store, nothing_spent, clock=clock, fail_closed=True)
    store.there = False
    person = dataclasses.replace(key(requests_per_minute=1), signed_in=True)
    with pytest.raises(TooManyRequests, match="or ask Ann") as refusal:
        await limiter.admit(person, "r", "m", NEED, contact="Ann")
    assert refusal.value.headers() == {
        "x-should-retry": "false",
        "anthropic-ratelimit-unified-overage-disabled-reason": "fetch_error",
    }
    limiter.stop()


async def test_after_a_failure_the_store_is_given_a_rest(clock):
    store = Away()
    limiter = Limiter(store, nothing_spent, clock=clock, steady=clock)
    team = key(requests_per_minute=1)
    store.there = False
    await limiter.admit(team, "r", "m", NEED)
    store.there = True
    assert await limiter.admit(team, "r", "m", NEED) is FREE
    clock.now += 2
    assert await limiter.admit(team, "r", "m", NEED) is not FREE
    limiter.stop()


async def test_a_rest_does_not_last_longer_when_the_clock_is_set_back(clock):
    store, steady = Away(), Clock()
    limiter = Limiter(store, nothing_spent, clock=clock, steady=steady)
    team = key(requests_per_minute=1)
    store.there = False
    await limiter.admit(team, "r", "m", NEED)
    store.there = True
    clock.now -= 3600
    steady.now += 2
    assert await limiter.admit(team, "r", "m", NEED) is not FREE
    limiter.stop()


class Hanging(Told):
    """A history that answers when it is `released`; `asked_at` is set when it is asked."""

    def __init__(self):
        super().__init__()
        self.released, self.asked_at = threading.Event(), threading.Event()

    def spent(self, subject, period):
        self.asked_at.set()
        self.released.wait()
        return super().spent(subject, period)


async def test_a_history_that_hangs_is_waited_for_once(clock, monkeypatch):
    monkeypatch.setattr(reconciling, "PATIENCE", 0.01)
    history, steady = Hanging(), Clock()
    limiter = Limiter(MemoryStore(), history, clock=clock, steady=steady)
    team = key(spend_budget=1_000)
    assert await limiter.admit(team, "r1", "m", NEED) is FREE
    assert await asyncio.to_thread(history.asked_at.wait, 30)
    steady.now += 1
    # from here on a wait would last as long as the test
    monkeypatch.setattr(asyncio, "wait", None)
    assert await limiter.admit(team, "r2", "m", NEED) is FREE
    monkeypatch.undo()
    history.released.set()
    limiter.stop()


async def test_holds_are_kept_alive_while_the_history_hangs(clock, monkeypatch):
    kept = threading.Event()

    class Keeping(MemoryStore):
        def keep(self, held, expires):
            super().keep(held, expires)
            kept.set()

    monkeypatch.setattr(reconciling, "TICK", 0.01)
    monkeypatch.setattr(reconciling, "PATIENCE", 0.01)
    history = Hanging()
    limiter = Limiter(Keeping(), history, clock=clock)
    assert await limiter.admit(key(concurrent_requests=1), "r1", "m", NEED) is not FREE
    assert await limiter.admit(key(spend_budget=1_000), "r2", "m", NEED) is FREE
    assert await asyncio.to_thread(history.asked_at.wait, 30)
    kept.clear()
    assert await asyncio.to_thread(kept.wait, 30)
    history.released.set()
    limiter.stop()


async def test_a_store_that_hangs_does_not_hold_a_request(clock):
    class Hanging(MemoryStore):
        local = False
        released, left = threading.Event(), threading.Event()

        def apply(self, changes, **kwargs):
            self.released.wait()
            standings = super().apply(changes, **kwargs)
            if changes.ends:
                self.left.set()
            return standings

    store = Hanging()
    team = key(concurrent_requests=1, requests_per_minute=5)
    impatient = Limiter(store, nothing_spent, clock=clock, patience=0.01)
    assert await impatient.admit(team, "r1", "m", NEED) is FREE
    store.released.set()
    # what came too late is given back: the only place is free again
    assert await asyncio.to_thread(store.left.wait, 10)
    patient = Limiter(store, nothing_spent, clock=clock, patience=10)
    assert await patient.admit(team, "r2", "m", NEED) is not FREE
    impatient.stop()
    patient.stop()


async def test_a_settlement_that_the_store_did_not_take_is_made_later(clock):
    store = Away()
    limiter = Limiter(store, nothing_spent, clock=clock)
    team = key(token_budget=1_000)
    admission = await limiter.admit(team, "r", "m", NEED)
    store.there = False
    limiter.settle(admission, Need(tokens=2_000))
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


async def test_a_history_that_does_not_answer_leaves_the_budget_unknown_until_it_does(clock):
    history = Told(spend=2_000)
    history.away = True
    limiter = Limiter(MemoryStore(), history, clock=clock, steady=clock)
    team = key(spend_budget=1_000)
    assert await limiter.admit(team, "r1", "m", NEED) is FREE
    history.away = False
    clock.now += 6
    with pytest.raises(TooManyRequests):
        await limiter.admit(team, "r2", "m", NEED)


async def test_a_counter_that_the_store_lost_begins_again_with_what_the_history_knows(clock):
    store = MemoryStore()
    limiter = Limiter(store, Told(spend=2_000), clock=clock)
    team = key(spend_budget=1_000)
    with pytest.raises(TooManyRequests):
        await limiter.admit(team, "r", "m", NEED)
    # what a restart of a Redis without persistence does
    store._counters.clear()
    store._rows.clear()
    for _ in range(2):
        with pytest.raises(TooManyRequests):
            await limiter.admit(team, "r", "m", NEED)


async def test_with_old_figures_a_budget_is_counted_on_while_the_history_is_away(clock):
    history = Told(spend=500)
    limiter = Limiter(MemoryStore(), history, clock=clock)
    team = key(spend_budget=1_000)
    limiter.settle(await limiter.admit(team, "r1", "m", NEED), used(400))
    history.away = True
    clock.now += 3600
    limiter.settle(await limiter.admit(team, "r2", "m", NEED), used(100))
    with pytest.raises(TooManyRequests, match="spend limit reached"):
        await limiter.admit(team, "r3", "m", NEED)


async def test_a_corrected_history_frees_the_key_with_its_next_request(clock):
    history = Told(spend=1_000)
    limiter = Limiter(MemoryStore(), history, clock=clock)
    team = key(spend_budget=1_000)
    with pytest.raises(TooManyRequests, match="spend limit reached"):
        await limiter.admit(team, "r1", "m", NEED)
    history.says = {"spend": 1}
    clock.now += 2
    assert await limiter.admit(team, "r2", "m", NEED) is not FREE


async def test_a_budget_that_was_away_for_a_while_begins_with_what_was_used_meanwhile(clock):
    history = Told(spend=0)
    limiter = Limiter(MemoryStore(), history, clock=clock)
    limiter.settle(await limiter.admit(key(spend_budget=1_000), "r1", "m", NEED), used(10))
    # without a budget nothing is counted; the history goes on
    history.says, history.known = {"spend": 5_000}, {"r1"}
    clock.now += 300
    with pytest.raises(TooManyRequests, match="spend limit reached"):
        await limiter.admit(key(spend_budget=1_000), "r2", "m", NEED)


async def test_what_ended_counts_once_whether_the_history_has_it_or_not(clock):
    history = Told(spend=0)
    store = MemoryStore()
    limiter = Limiter(store, history, clock=clock)
    team = key(spend_budget=1_000)
    limiter.settle(await limiter.admit(team, "r1", "m", NEED), used(300))
    account = next(iter(store._rows))
    for now, history.says, history.known in ((200, {"spend": 0}, set()), (400, {"spend": 300}, {"r1"})):
        clock.now = NOON + now
        limiter.settle(await limiter.admit(team, f"at {now}", "m", NEED), used(0))
        assert store._counters[account][0].used == 300


async def test_an_end_that_comes_after_the_history_has_it_is_not_counted_again(clock):
    history = Told(spend=0)
    store = MemoryStore()
    limiter = Limiter(store, history, clock=clock)
    team = key(spend_budget=1_000)
    admission = await limiter.admit(team, "r1", "m", NEED)
    history.says, history.known = {"spend": 300}, {"r1"}
    clock.now += 200
    await limiter.admit(team, "r2", "m", used(0))
    limiter.settle(admission, used(300))
    assert next(iter(store._counters.values()))[0][:2] == (300, 0)


async def test_what_a_dead_process_held_of_a_budget_is_free_a_minute_later(clock):
    store = MemoryStore()
    dead, living = Limiter(store, nothing_spent, clock=clock), Limiter(store, nothing_spent, clock=clock)
    team = key(spend_budget=1_000)
    for number in range(2):
        await dead.admit(team, f"dead {number}", "m", NEED)
    with pytest.raises(TooManyRequests, match="held by requests that are still under way"):
        await living.admit(team, "r", "m", NEED)
    clock.now += 61
    assert await living.admit(team, "r", "m", NEED) is not FREE


async def test_a_rotated_key_goes_on_with_what_was_used(limiter):
    old = KeyEntry(id=7, name="team", digest="d", limits=KeyLimits(spend_budget=1_000))
    new = KeyEntry(id=8, name="team", digest="e", limits=KeyLimits(spend_budget=1_000), lineage=7)
    limiter.settle(await limiter.admit(old, "r1", "m", NEED), used(1_000))
    with pytest.raises(TooManyRequests, match="spend limit reached"):
        await limiter.admit(new, "r2", "m", NEED)


async def test_many_at_once_are_counted_in_a_few_transactions(clock):
    all_wait = threading.Event()

    class Counting(Away):
        calls = 0

        def apply(self, *args, **kwargs):
            all_wait.wait(60)
            self.calls += 1
            return super().apply(*args, **kwargs)

    store = Counting()
    limiter = Limiter(store, nothing_spent, clock=clock)
    team = key(spend_budget=10_000)
    asked = [limiter.admit(team, f"r{number}", "m", NEED) for number in range(400)]
    answering = asyncio.gather(*asked, return_exceptions=True)
    await asyncio.sleep(0)
    all_wait.set()
    answers = await answering
    assert sum(not isinstance(answer, Exception) for answer in answers) == 10
    assert store.calls < 40
    limiter.stop()


async def test_a_busy_process_does_not_take_its_own_delay_for_the_stores(clock):
    class Slow(Away):
        def apply(self, *args, **kwargs):
            time.sleep(0.005)
            return super().apply(*args, **kwargs)

    limiter = Limiter(Slow(), nothing_spent, clock=clock, patience=0.2)
    asking = asyncio.gather(
        *(limiter.admit(key(requests_per_minute=500), f"r{number}", "m", NEED) for number in range(300))
    )
    await asyncio.sleep(0)
    # the loop stands still for longer than the patience
    time.sleep(0.5)  # noqa: ASYNC251
    assert FREE not in await asking
    limiter.stop()


async def test_what_was_settled_together_with_a_refusal_is_settled_once(clock):
    class FailsOnce(Away):
        """Away when it is asked for the second time."""

        asked = 0

        def apply(self, *args, **kwargs):
            self.asked += 1
            self.there = self.asked != 2
            return super().apply(*args, **kwargs)

    store, team = FailsOnce(), key(output_tokens_per_minute=2_000)
    counting = CountingQueue(store, lambda ask: None, clock=clock, patience=1.0)
    meters = meters_of(team.limits, Subject.of(team), clock.now)
    counting._owed.append(payment(meters, "r1", Need(), Need(output_tokens=2_500), clock.now))
    refused, told = Ask(meters, Need(output_tokens=1_000), "r2", clock.now), asyncio.Future()
    counting._asks.append((refused, told))
    for _ in range(5):
        counting._batch()
    await told
    assert not counting._owes and not refused.admitted
    assert [stands.used for stands, _ in store._counters.values()] == [2_500]


async def test_an_admission_that_comes_after_the_leaving_of_its_client_is_given_back(clock):
    class Held(Away):
        go_on = threading.Event()

        def apply(self, *args, **kwargs):
            self.go_on.wait()
            return super().apply(*args, **kwargs)

    store = Held()
    limiter = Limiter(store, nothing_spent, clock=clock)
    asking = asyncio.create_task(limiter.admit(key(concurrent_requests=1), "r1", "m", NEED))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    store.go_on.set()
    for _ in range(500):
        if "key:7:running" in store._counters and not store._rows["key:7:running"]:
            break
        await asyncio.sleep(0.01)
    assert store._counters["key:7:running"][0].held == 0
    limiter.stop()


async def test_a_settlement_that_fails_for_good_does_not_hold_up_those_behind_it(clock, caplog):
    class Refusing(Away):
        def apply(self, changes, **kwargs):
            if any(end.request == "poison" for end in changes.ends):
                raise OverflowError("too large")
            return super().apply(changes, **kwargs)

    store = Refusing()
    limiter = Limiter(store, nothing_spent, clock=clock)
    team = key(concurrent_requests=2)
    poison, other = await limiter.admit(team, "poison", "m", NEED), await limiter.admit(team, "r", "m", NEED)
    limiter.settle(poison, Need())
    limiter.settle(other, Need())
    limiter.stop()
    assert store._counters["key:7:running"][0].held == 1


async def test_an_outage_of_the_store_is_one_line_and_its_end_another(clock, caplog):
    store, missed = Away(), []
    limiter = Limiter(store, nothing_spent, clock=clock, steady=clock, uncounted=lambda: missed.append(1))
    team = key(requests_per_minute=100)
    store.there = False
    for number in range(5):
        await limiter.admit(team, f"r{number}", "m", NEED)
    assert [record.message for record in caplog.records] == ["limits cannot be counted"]
    store.there = True
    clock.now += 2
    for number in range(5, 8):
        await limiter.admit(team, f"r{number}", "m", NEED)
    assert [record.message for record in caplog.records][1:] == ["limits are counted again"]
    assert caplog.records[-1].uncounted == 5 == len(missed)
    limiter.stop()
