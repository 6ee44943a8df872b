"""Limits of client keys and bounds of the process, as clients meet them."""

import asyncio
import dataclasses
from decimal import Decimal

import pytest

from gateway.limits.limiter import Limiter
from gateway.limits.reconciling import NoHistory
from gateway.limits.stores import MemoryStore
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates
from gateway.relay.gate import Gate
from gateway.routing.snapshot import KeyLimits, PersonLimits, Target
from tests.conftest import asking, key_entry, rule
from tests.fakes import messages
from tests.fakes.provider import Answer, completion, error, stream

KEY = {"x-api-key": "ours"}
DOLLARS = 1_000_000_000


def limited(bench, prices=None, **limits):
    options = {} if prices is None else {"prices": prices}
    bench.configure(keys=[key_entry("ours", limits=KeyLimits(**limits))], **options)


def priced(dollars_per_million) -> PriceBook:
    rates = Rates(Decimal(dollars_per_million), Decimal(dollars_per_million))
    return PriceBook((PriceRule(Price(rates, source="test"), "m"),))


def ask(bench, **fields):
    return bench.client.messages(asking(**fields), headers=KEY)


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_is_left_is_told_with_each_answer(bench, streamed):
    limited(bench, requests_per_minute=5, input_tokens_per_minute=1_000)
    bench.provider.answers("m", stream("hi") if streamed else completion("hi"))
    answer = await ask(bench, stream=streamed)
    assert answer.status == 200
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "4"
    assert int(answer.headers["anthropic-ratelimit-input-tokens-remaining"]) < 1_000
    assert answer.headers["anthropic-ratelimit-tokens-limit"] == "1000"


async def test_a_key_without_limits_is_told_nothing(bench):
    bench.configure(keys=[key_entry("ours")])
    bench.provider.answers("m", completion("hi"))
    answer = await ask(bench)
    assert not [name for name in answer.headers if "ratelimit" in name]


async def test_over_its_rate_a_key_is_refused_before_the_provider_is_asked(bench):
    limited(bench, requests_per_minute=1)
    bench.provider.answers("m", completion("hi"))
    assert (await ask(bench)).status == 200
    refused = await ask(bench)
    assert refused.status == 429
    assert refused.json["error"] == {
        "type": "rate_limit_error",
        "message": "This request would exceed your rate limit of 1 requests per minute",
    }
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert len(bench.provider.requests) == 1
    assert (bench.recorder.last.state, bench.recorder.last.status) == ("error", 429)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_budget_is_settled_with_what_the_provider_counted(bench, streamed):
    # the provider tells 27 tokens of a dollar each
    limited(bench, priced(1_000_000), spend_budget=1_100 * DOLLARS)
    bench.provider.answers("m", stream("hi") if streamed else completion("hi"))
    for _ in range(3):
        assert (await ask(bench, stream=streamed)).status == 200
    limited(bench, priced(1_000_000), spend_budget=81 * DOLLARS)
    refused = await ask(bench, stream=streamed)
    assert refused.status == 429
    assert refused.json["error"]["message"].startswith("spend limit reached (monthly; resets ")
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers


async def test_a_request_that_failed_costs_nothing(bench):
    limited(bench, token_budget=30)
    bench.provider.answers("m", error(400, "no"), error(400, "no"), error(400, "no"), completion("hi"))
    for _ in range(3):
        assert (await ask(bench)).status == 400
    assert (await ask(bench)).status == 200


async def test_a_client_that_leaves_is_charged_for_what_it_got(bench):
    limited(bench, output_tokens_per_minute=2, concurrent_requests=1)
    bench.provider.answers("m", stream("some words that were sent before it left", 5))
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True), headers=KEY)
    await answering.head()
    while b"words" not in answering.text:
        await answering.piece()
    answering.leave()
    await answering.task
    refused = await ask(bench)
    assert "2 output tokens per minute" in refused.json["error"]["message"]


async def test_only_so_many_requests_of_a_key_at_once(bench):
    limited(bench, concurrent_requests=1)
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("a", go_on, "b"), completion("hi"))
    first = bench.client.open("POST", "/v1/messages", asking(stream=True), headers=KEY)
    await first.head()
    refused = await ask(bench)
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    go_on.set()
    await first.rest()
    assert (await ask(bench)).status == 200


@pytest.mark.parametrize(("refuse", "status"), [(False, 200), (True, 403)])
async def test_a_model_without_a_price_is_free_or_refused_as_the_setting_says(bench, refuse, status):
    bench.set(limiter=Limiter(MemoryStore(), NoHistory(), refuse_unpriced=refuse))
    limited(bench, spend_budget=1 * DOLLARS)
    bench.provider.answers("m", completion("hi"))
    answer = await ask(bench)
    assert answer.status == status
    if refuse:
        assert "the model m has no price" in answer.json["error"]["message"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("third", "status", "asked"), [("dear", 200, ["down", "dear"]), (None, 403, ["down"])]
)
async def test_no_failover_leads_to_a_target_without_a_price(bench, streamed, third, status, asked):
    bench.set(limiter=Limiter(MemoryStore(), NoHistory(), refuse_unpriced=True))
    rates = Rates(Decimal(1), Decimal(1))
    prices = PriceBook(tuple(PriceRule(Price(rates, source="test"), name) for name in ("down", "dear")))
    targets = tuple(Target("fake", name) for name in ("down", "free", third) if name)
    bench.configure(
        provider={"max_retries": 0},
        rules=[rule(targets=targets)],
        keys=[key_entry("ours", limits=KeyLimits(spend_budget=DOLLARS))],
        prices=prices,
    )
    bench.provider.answers("down", error(500, "no"))
    for name in ("free", "dear"):
        bench.provider.answers(name, stream("hi") if streamed else completion("hi"))
    answer = await ask(bench, stream=streamed)
    assert answer.status == status
    assert [request.body["model"] for request in bench.provider.requests] == asked


async def test_counting_tokens_counts_as_a_request_and_takes_a_turn(bench):
    bench.set(gate=Gate(1, patience=0.01))
    limited(bench, requests_per_minute=2, spend_budget=0)
    for status in (200, 200, 429):
        counted = await count(bench)
        assert counted.status == status
        assert bench.gateway.gate.inside == 0
    assert counted.json["error"]["message"].endswith("2 requests per minute")
    limited(bench)
    await bench.gateway.gate.enter()
    assert (await count(bench)).status == 529


def count(bench):
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    return bench.client.request("POST", "/v1/messages/count_tokens", asked, headers=KEY)


# --- the process ---------------------------------------------------------------------------


async def test_a_full_process_answers_overloaded_after_the_wait(bench):
    bench.set(gate=Gate(1, patience=0.01))
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("a", go_on, "b"), completion("hi"))
    first = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await first.head()
    refused = await bench.client.messages(asking())
    assert (refused.status, refused.json["error"]["type"]) == (529, "overloaded_error")
    assert refused.headers["retry-after"] == "5"
    go_on.set()
    await first.rest()
    assert (await bench.client.messages(asking())).status == 200


async def test_a_request_waits_for_its_turn(bench):
    bench.set(gate=Gate(1))
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("a", go_on, "b"), completion("hi"))
    first = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await first.head()
    second = bench.client.open("POST", "/v1/messages", asking())
    for _ in range(50):
        await asyncio.sleep(0)
    assert bench.gateway.gate.waiting == 1
    go_on.set()
    await first.rest()
    await second.head()
    assert second.status == 200


@pytest.mark.parametrize(
    "ending", [error(400, "no"), completion("hi"), Answer(before_head=[5])], ids=["error", "answer", "left"]
)
async def test_however_it_ends_the_turn_is_given_back(bench, ending):
    bench.set(gate=Gate(1, patience=0))
    bench.provider.answers("m", ending)
    asked = bench.client.open("POST", "/v1/messages", asking(stream=True))
    if ending.before_head:
        await bench.provider.arrived.wait()
        asked.leave()
        await asked.task
    else:
        await asked.head()
        await asked.rest()
    assert bench.gateway.gate.inside == 0


async def test_a_stream_that_takes_too_long_ends_in_an_error(bench):
    bench.set(stream_limit=0.05)
    bench.provider.answers("m", stream("a", 5, "b"))
    answer = await bench.client.messages(asking(stream=True))
    assert answer.events[-1]["error"]["type"] == "timeout_error"
    assert "longer than 0.05 seconds" in answer.events[-1]["error"]["message"]
    assert bench.recorder.last.state == "broken"
    await bench.provider.closed_by_client.wait()


async def test_a_stream_that_does_not_begin_in_its_time_is_an_http_error(bench):
    bench.set(stream_limit=0.05)
    bench.provider.answers("m", Answer(before_head=[5]))
    answer = await bench.client.messages(asking(stream=True))
    assert (answer.status, answer.json["error"]["type"]) == (504, "timeout_error")


PERSON = PersonLimits(KeyLimits(budget_period="day", spend_budget=10 * DOLLARS))
STEM = "anthropic-ratelimit-unified-"
TEXT = {"type": "text", "text": "hi"}


class Spent:
    """A history in which the person has spent so many dollars."""

    def __init__(self, dollars):
        self.dollars = dollars

    def spent(self, subject, period):
        return {"spend": int(self.dollars * DOLLARS)} if subject.kind == "user" else {}

    def ended(self, requests):
        return set()


def signed_in(bench, dollars, *, person=PERSON, **fields):
    entry = key_entry("ours", owner_id=7, signed_in=True, person=person, **fields)
    bench.configure(keys=[entry], prices=priced(1))
    bench.set(limiter=Limiter(MemoryStore(), Spent(dollars)))
    bench.provider.answers("m", completion("hi"))


@pytest.mark.parametrize(
    ("dollars", "threshold", "status"),
    [(3, None, "allowed"), (7.6, "0.75", "allowed_warning"), (9.6, "0.95", "allowed_warning")],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_signed_in_person_is_told_how_full_the_budget_is(bench, dollars, threshold, status, streamed):
    signed_in(bench, dollars)
    bench.provider.answers("m", stream("hi") if streamed else completion("hi"))
    answer = await ask(bench, stream=streamed)
    assert answer.status == 200
    assert answer.headers[STEM + "status"] == status
    assert answer.headers[STEM + "overage-utilization"] == f"{dollars / 10:.2f}"
    assert answer.headers.get(STEM + "overage-surpassed-threshold") == threshold
    assert answer.headers[STEM + "reset"].isdigit()


async def test_a_used_up_budget_is_refused_in_the_one_sentence_that_the_client_shows(bench):
    signed_in(bench, 10)
    answer = await ask(bench)
    assert (answer.status, answer.json["error"]["type"]) == (429, "billing_error")
    assert answer.json["error"]["message"].startswith("Your daily budget")
    assert answer.headers["x-should-retry"] == "false"
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    assert answer.headers[STEM + "overage-disabled-reason"] == "org_spend_cap_reached"
    assert STEM + "representative-claim" not in answer.headers
    assert bench.provider.requests == []


async def test_the_budget_of_a_person_holds_for_plain_keys_too_in_their_own_words(bench):
    bench.configure(keys=[key_entry("ours", owner_id=7, person=PERSON)], prices=priced(1))
    bench.set(limiter=Limiter(MemoryStore(), Spent(10)))
    answer = await ask(bench)
    assert (answer.status, answer.json["error"]["type"]) == (429, "rate_limit_error")
    assert not [name for name in answer.headers if name.startswith(STEM)]


def of_person(bench, *names, **limits):
    """Keys of these names that all belong to one person, and one of somebody else."""
    person = PersonLimits(**limits)
    entries = [key_entry(name, id=number, owner_id=7, person=person) for number, name in enumerate(names, 1)]
    bench.configure(keys=[*entries, key_entry("theirs", id=99, owner_id=8)])
    bench.provider.answers("m", completion("hi"))


def ask_with(bench, key, **fields):
    return bench.client.messages(asking(**fields), headers={"x-api-key": key})


async def test_the_rates_of_a_person_hold_over_all_their_keys_and_for_nobody_else(bench):
    of_person(bench, "laptop", "desktop", limits=KeyLimits(requests_per_minute=2))
    assert [(await ask_with(bench, key)).status for key in ("laptop", "desktop")] == [200, 200]
    for key in ("laptop", "desktop"):
        refused = await ask_with(bench, key)
        assert refused.status == 429
        assert "your rate limit of 2 requests per minute" in refused.json["error"]["message"]
    assert (await ask_with(bench, "theirs")).status == 200


async def test_only_so_many_requests_of_a_person_run_at_once_whatever_keys_they_use(bench):
    of_person(bench, "laptop", "desktop", limits=KeyLimits(concurrent_requests=1))
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("a", go_on, "b"), completion("hi"))
    first = bench.client.open("POST", "/v1/messages", asking(stream=True), headers={"x-api-key": "laptop"})
    await first.head()
    refused = await ask_with(bench, "desktop")
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    go_on.set()
    await first.rest()
    assert (await ask_with(bench, "desktop")).status == 200


async def test_a_prompt_that_no_minute_of_a_person_has_room_for_is_told_whose_minute_it_is(bench):
    of_person(bench, "laptop", limits=KeyLimits(input_tokens_per_minute=1))
    refused = await ask_with(bench, "laptop")
    assert refused.status == 400 and "(all that you may send in a minute)" in refused.json["error"]["message"]


async def test_a_model_must_be_allowed_to_the_key_and_to_its_person(bench):
    person = PersonLimits(allowed_models=("m", "n"))
    lists = {"all": (), "some": ("m",), "others": ("x", "n")}
    entries = [
        key_entry(name, id=number, owner_id=7, person=person, allowed_models=allowed)
        for number, (name, allowed) in enumerate(lists.items(), 1)
    ]
    bench.configure(keys=entries)
    assert [one.counted for one in entries] == [False] * 3
    asked = [("all", "m"), ("all", "x"), ("some", "m"), ("some", "n"), ("others", "n"), ("others", "x")]
    for model in "mnx":
        bench.provider.answers(model, completion("hi"))
    found = [(await ask_with(bench, key, model=model)).status for key, model in asked]
    assert found == [200, 403, 200, 403, 200, 403]
    refused = await ask_with(bench, "others", model="x")
    assert "it may ask for: x, n that are also m, n" in refused.json["error"]["message"]


async def test_a_correction_is_seen_with_the_next_request(bench):
    signed_in(bench, 10)
    assert (await ask(bench)).status == 429
    # a corrected budget is counted under another account
    entry = key_entry("ours", owner_id=7, signed_in=True, person=dataclasses.replace(PERSON, account=":1"))
    limiter = bench.gateway.limiter
    limiter._reconciler._history.dollars = 1
    bench.configure(keys=[entry], prices=priced(1))
    answer = await ask(bench)
    assert (answer.status, answer.headers[STEM + "overage-utilization"]) == (200, "0.10")


async def test_a_person_without_a_budget_is_told_nothing(bench):
    signed_in(bench, 10, person=None)
    answer = await ask(bench)
    assert answer.status == 200
    assert not [name for name in answer.headers if "ratelimit" in name]


@pytest.mark.parametrize("person", [PERSON, None])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [200, 400, 429])
async def test_the_limits_of_the_provider_are_not_shown_as_those_of_the_person(
    bench, person, streamed, status
):
    theirs = {
        STEM + "status": "rejected",
        STEM + "representative-claim": "five_hour",
        STEM + "overage-status": "rejected",
        "Anthropic-Ratelimit-Requests-Limit": "7",
        "x-should-retry": "false",
    }
    bench.configure(
        provider={"protocol": "anthropic"},
        keys=[key_entry("ours", owner_id=7, signed_in=True, person=person)],
        prices=priced(1),
    )
    bench.set(limiter=Limiter(MemoryStore(), Spent(1)))
    whole = messages.told(*messages.text_events("hi")) if streamed else messages.whole(TEXT)
    made = whole if status == 200 else messages.error(status, "rate_limit_error", "slow", {})
    made.headers = {**made.headers, **theirs}
    bench.provider.answers("m", made)
    answer = await ask(bench, stream=streamed)
    assert answer.status == status
    told = {name: value for name, value in answer.headers.items() if "ratelimit" in name}
    assert not set(theirs.values()) & set(told.values())
    assert bool(told) == (person is not None and status == 200)
