"""Shadow requests: asked after the answer, out of the client's way, within their caps."""

import asyncio
import dataclasses
import json
from collections import Counter
from decimal import Decimal

import pytest

from gateway.errors import DatabaseAway
from gateway.models.configuration.condition_words import zone_of
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates
from gateway.relay.shadow import Shadows, is_chosen, may_see
from gateway.routing.conditions import condition_of
from gateway.routing.snapshot import ShadowRule, Target
from tests.conftest import FixedConfiguration, asking, key_entry, rule, snapshot_of
from tests.fakes.provider import completion, error, stream

KEY = "a-client-key"
PRICES = PriceBook((PriceRule(Price(Rates(Decimal(1), Decimal(1)), source="test"), "two"),))


@dataclasses.dataclass
class Shadowed:
    two: object
    shadows: Shadows
    dropped: Counter
    spent: dict

    def configure(self, *, prices=PRICES, keys=(), rules=(), provider="second", **shadow):
        wanted = ShadowRule(
            Target(provider, "two"), **{"share": 1.0, "daily_cap": 5.0, "released": True, **shadow}
        )
        self.two.configure()
        mapping = dataclasses.replace(rule(), targets=(Target("first", "one"),), shadow=wanted)
        providers = self.two.bench.gateway.configuration.snapshot.providers.values()
        snapshot = snapshot_of(providers=providers, rules=[mapping, *rules], prices=prices, keys=keys)
        self.two.bench.set(configuration=FixedConfiguration(snapshot), shadows=self.shadows)

    async def ask(self, stream=False, **options):
        return await self.two.ask(asking(stream=stream), **options)

    @property
    def asked(self):
        """How many requests the shadow's target got."""
        return len(self.two.second.requests)


@pytest.fixture
async def shadowed(two):
    dropped, spent = Counter(), {"dollars": 0.0}

    async def asked(_mapping, _since):
        return spent["dollars"]

    shadows = Shadows(asked, lambda why: dropped.update([why]))
    two.first.answers("one", completion("the real one"))
    two.second.answers("two", completion("the shadow"))
    made = Shadowed(two, shadows, dropped, spent)
    made.configure()
    yield made
    shadows.stop()
    await shadows.drained()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_the_shadow_is_asked_after_the_answer_and_stands_beside_it(shadowed, streamed):
    if streamed:
        shadowed.two.first.answers("one", stream("the real one"))
        shadowed.two.second.answers("two", stream("the shadow"))
    answer = await shadowed.ask(streamed)
    assert answer.status == 200
    told = json.dumps(answer.events if streamed else answer.json)
    assert "the shadow" not in told and "real" in told
    await shadowed.shadows.drained()
    real, shadow = shadowed.two.bench.recorder.ended
    assert (real.endpoint, real.provider, real.replay_of) == ("messages", "first", "")
    assert (shadow.endpoint, shadow.provider, shadow.replay_of) == ("shadow", "second", real.request_id)
    assert (shadow.client_key_id, shadow.session_id, shadow.mapping_pk, shadow.arm) == (None, "", 1, "")
    assert b"the shadow" in bytes(shadow.bodies.returned)


async def test_a_shadow_that_hangs_delays_no_client_and_what_comes_meanwhile_is_dropped(shadowed):
    shadowed.configure(concurrency=2)
    go_on = asyncio.Event()
    shadowed.two.second.answers("two", dataclasses.replace(completion("late"), before_head=[go_on]))
    for _ in range(6):
        answer = await asyncio.wait_for(shadowed.ask(), 60)
        assert answer.json["content"][0]["text"] == "the real one"
    assert shadowed.dropped == {"busy": 4}
    go_on.set()
    await shadowed.shadows.drained()
    assert shadowed.asked == 2


async def test_nothing_is_asked_once_the_cap_is_reached(shadowed):
    shadowed.spent["dollars"] = 4.99
    await shadowed.ask()
    await shadowed.shadows.drained()
    shadowed.spent["dollars"] = 5.0
    await shadowed.ask()
    await shadowed.shadows.drained()
    assert (shadowed.asked, shadowed.dropped) == (1, {"spent": 1})


async def test_a_target_without_a_price_is_not_asked_because_no_cap_holds_it(shadowed):
    shadowed.configure(prices=PriceBook())
    await shadowed.ask()
    await shadowed.shadows.drained()
    assert (shadowed.asked, shadowed.dropped) == (0, {"unpriced": 1})


async def test_nothing_is_asked_where_contents_are_not_kept(shadowed):
    shadowed.configure(keys=[key_entry(KEY, capture="metadata")])
    assert (await shadowed.ask(headers={"x-api-key": KEY})).status == 200
    await shadowed.shadows.drained()
    assert shadowed.asked == 0


async def test_nothing_is_asked_of_requests_that_failed(shadowed):
    shadowed.two.first.answers("one", error(400, "no"))
    await shadowed.ask()
    await shadowed.shadows.drained()
    assert shadowed.asked == 0


async def test_contents_go_only_where_the_key_could_have_been_routed(shadowed):
    shadowed.configure(released=False)
    await shadowed.ask()
    await shadowed.shadows.drained()
    assert (shadowed.asked, shadowed.dropped) == (0, {"not released": 1})
    leads_there = dataclasses.replace(rule("other"), id=2, targets=(Target("second", "x"),))
    shadowed.configure(released=False, rules=[leads_there])
    await shadowed.ask()
    await shadowed.shadows.drained()
    assert shadowed.asked == 1


@pytest.mark.parametrize(
    ("allowed", "pattern", "may"),
    [
        ((), "other", True),
        (("other",), "other", True),
        (("m",), "other", False),
        (("o*",), "other*", True),
        (("other-1",), "other*", False),
    ],
)
def test_a_key_sees_by_the_mappings_whose_names_it_may_ask_for(allowed, pattern, may):
    shadow = ShadowRule(Target("second", "two"), 1.0, 1.0)
    own = rule()
    other = dataclasses.replace(rule(pattern), id=2, targets=(Target("second", "x"),))
    snapshot = snapshot_of(providers=[], rules=[other, own])
    key = key_entry(KEY, allowed_models=allowed)
    assert may_see(shadow, own, key, snapshot) is may
    assert may_see(shadow, own, None, snapshot)
    off = snapshot_of(providers=[], rules=[dataclasses.replace(other, enabled=False), own])
    assert not may_see(shadow, own, key, off)


@pytest.mark.parametrize(
    ("when", "may"),
    [
        ({"key": ["laptop"]}, True),
        ({"key": ["another"]}, False),
        ({"owner": ["bob"], "class": ["subagent"]}, True),
        ({"owner": ["alice"]}, False),
        ({"group": ["research"]}, True),
        ({"group": ["sales"]}, False),
        ({"class": ["safeguards"]}, False),
        ({"no such fact": 1}, False),
    ],
)
def test_a_mapping_for_others_does_not_lead_a_key_s_contents_to_its_provider(when, may):
    shadow = ShadowRule(Target("second", "two"), 1.0, 1.0)
    own = rule()
    conditioned = dataclasses.replace(
        rule("*-x"), id=2, targets=(Target("second", "x"),), condition=condition_of(when, zone_of)
    )
    snapshot = dataclasses.replace(
        snapshot_of(providers=[], rules=[conditioned, own]), group_names={7: frozenset({"research"})}
    )
    key = dataclasses.replace(key_entry(KEY), name="laptop", owner="bob", owner_id=7)
    assert may_see(shadow, own, key, snapshot) is may


def test_a_mapping_that_no_request_reaches_leads_nobody_s_contents_anywhere():
    shadow = ShadowRule(Target("second", "two"), 1.0, 1.0)
    own, behind = rule(), dataclasses.replace(rule("m*"), id=2, targets=(Target("second", "x"),))
    assert not may_see(shadow, own, None, snapshot_of(providers=[], rules=[own, behind]))
    assert may_see(shadow, own, None, snapshot_of(providers=[], rules=[behind, own]))


async def test_a_shadow_that_fails_sets_nothing_aside_for_clients(shadowed):
    shadowed.two.second.answers("two", error(503, "no"))
    for _ in range(10):
        await shadowed.ask()
        await shadowed.shadows.drained()
    assert shadowed.two.changes == []
    assert {one.state for one in shadowed.two.bench.recorder.ended if one.endpoint == "shadow"} == {"error"}


async def test_what_is_under_way_ends_when_the_process_stops(shadowed):
    never = asyncio.Event()
    shadowed.two.second.answers("two", dataclasses.replace(completion("late"), before_head=[never]))
    await shadowed.ask()
    await shadowed.two.second.arrived.wait()
    shadowed.shadows.stop()
    await asyncio.wait_for(shadowed.shadows.drained(), 60)
    never.set()
    assert shadowed.two.bench.recorder.last.state == "cancelled"
    before = shadowed.asked
    await shadowed.ask()
    await shadowed.shadows.drained()
    assert shadowed.asked == before


async def test_a_cap_that_cannot_be_read_asks_nothing_and_breaks_nothing(shadowed, caplog):
    async def broken(_mapping, _since):
        raise OSError("no database")

    shadows = Shadows(broken)
    shadowed.two.bench.set(shadows=shadows)
    assert (await shadowed.ask()).status == 200
    await shadows.drained()
    assert shadowed.asked == 0 and "unexpected error in a shadow request" in caplog.text


async def test_while_the_database_is_away_a_shadow_is_dropped_and_counted(shadowed, caplog):
    async def away(_mapping, _since):
        raise DatabaseAway

    shadows = Shadows(away, lambda why: shadowed.dropped.update([why]))
    shadowed.two.bench.set(shadows=shadows)
    assert (await shadowed.ask()).status == 200
    await shadows.drained()
    assert shadowed.asked == 0 and shadowed.dropped == {"cost unknown": 1}
    assert "unexpected error" not in caplog.text


def test_a_share_of_the_requests_is_chosen():
    for share in (0.0, 0.01, 0.25, 1.0):
        chosen = sum(is_chosen(f"req_{number}", share) for number in range(10_000))
        assert abs(chosen / 10_000 - share) < 0.01
