from datetime import UTC, datetime

import pytest

from gateway.errors import InvalidRequest
from gateway.limits.meters import MOST, CounterStanding, Need, Subject, judged, meters_of
from gateway.routing.snapshot import KeyEntry, KeyLimits

NOW = datetime(2026, 8, 8, 12, 0, 30, tzinfo=UTC).timestamp()
BILLION = 1_000_000_000
TEAM = Subject("key", 7)


def verdict(limits: KeyLimits, *, used: int = 0, held: int = 0, before: int = 0, need: Need | None = None):
    """What is judged when each counter stands at `used` and `held`, and the minute before at `before`."""
    need = need or Need(input_tokens=100, output_tokens=10, tokens=110, cost=5)
    meters = meters_of(limits, TEAM, NOW)
    standings = {meter.counter: CounterStanding(used, held) for meter in meters}
    standings |= {meter.faded: CounterStanding(before) for meter in meters if meter.faded}
    return judged(meters, standings, need, NOW)


def test_a_request_that_just_fits_is_let_in():
    assert verdict(KeyLimits(requests_per_minute=3), used=2).refusal is None


def test_one_request_more_is_refused_in_the_words_of_the_api():
    refusal = verdict(KeyLimits(requests_per_minute=3), used=3).refusal
    assert refusal.message == "This request would exceed your rate limit of 3 requests per minute"
    assert (refusal.status, refusal.error_type) == (429, "rate_limit_error")
    assert refusal.headers()["retry-after"] == "45"


def test_half_of_the_minute_before_counts_in_mid_minute():
    limits = KeyLimits(requests_per_minute=10)
    assert verdict(limits, used=4, before=10).refusal is None
    assert verdict(limits, used=5, before=10).refusal is not None


def test_input_is_refused_by_its_estimate():
    limits = KeyLimits(input_tokens_per_minute=40_000)
    assert verdict(limits, used=39_900).refusal is None
    refusal = verdict(limits, used=39_901).refusal
    assert refusal.message == "This request would exceed your rate limit of 40,000 input tokens per minute"


def test_an_answer_may_begin_while_a_token_of_output_is_left():
    limits = KeyLimits(output_tokens_per_minute=1_000)
    assert verdict(limits, used=999).refusal is None
    refusal = verdict(limits, used=1_000).refusal
    assert refusal.message == "This request would exceed your rate limit of 1,000 output tokens per minute"


def test_what_a_client_is_told_to_wait_is_never_longer_than_it_will():
    assert int(verdict(KeyLimits(requests_per_minute=1), used=500).refusal.headers()["retry-after"]) == 60


@pytest.mark.parametrize(
    ("period", "words"),
    [
        ("day", "daily; resets 2026-08-09 00:00 UTC"),
        ("week", "weekly; resets 2026-08-10 00:00 UTC"),
        ("month", "monthly; resets 2026-09-01 00:00 UTC"),
    ],
)
def test_an_empty_budget_is_a_spend_limit_that_no_retry_helps(period, words):
    limits = KeyLimits(spend_budget=BILLION, budget_period=period)
    assert verdict(limits, used=BILLION - 1).refusal is None
    refusal = verdict(limits, used=BILLION).refusal
    assert refusal.message == f"spend limit reached ({words})"
    assert refusal.headers()["x-should-retry"] == "false"
    assert "retry-after" not in refusal.headers()


def test_a_token_budget_counts_cached_tokens_too():
    limits = KeyLimits(token_budget=1_000)
    need = Need(input_tokens=100, output_tokens=10, tokens=610)
    meter = meters_of(limits, TEAM, NOW)[0]
    assert need.amount(meter.unit) == 610
    refusal = verdict(limits, used=1_000, need=need).refusal
    assert refusal.message == "spend limit reached (monthly tokens; resets 2026-09-01 00:00 UTC)"


def test_a_rate_does_not_count_what_the_provider_read_from_its_cache():
    meter = meters_of(KeyLimits(input_tokens_per_minute=10), TEAM, NOW)[0]
    assert Need(input_tokens=3, tokens=903).amount(meter.unit) == 3


def test_the_headers_tell_each_limit_and_the_tighter_of_the_tokens():
    limits = KeyLimits(
        requests_per_minute=50, input_tokens_per_minute=1_000, output_tokens_per_minute=500, spend_budget=5
    )
    headers = verdict(limits, need=Need(input_tokens=100, output_tokens=10)).headers
    assert headers == {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-08-08T12:01:00Z",
        "anthropic-ratelimit-input-tokens-limit": "1000",
        "anthropic-ratelimit-input-tokens-remaining": "900",
        "anthropic-ratelimit-input-tokens-reset": "2026-08-08T12:01:00Z",
        "anthropic-ratelimit-output-tokens-limit": "500",
        "anthropic-ratelimit-output-tokens-remaining": "490",
        "anthropic-ratelimit-output-tokens-reset": "2026-08-08T12:01:00Z",
        "anthropic-ratelimit-tokens-limit": "500",
        "anthropic-ratelimit-tokens-remaining": "490",
        "anthropic-ratelimit-tokens-reset": "2026-08-08T12:01:00Z",
    }


def test_of_a_key_and_its_person_the_headers_tell_the_rate_that_has_less_left():
    own, person = KeyLimits(requests_per_minute=5), KeyLimits(requests_per_minute=50)
    for first, second in ((own, person), (person, own)):
        meters = (*meters_of(first, TEAM, NOW), *meters_of(second, Subject("user", 1), NOW))
        headers = judged(meters, {}, Need(), NOW).headers
        assert headers["anthropic-ratelimit-requests-limit"] == "5"
        assert headers["anthropic-ratelimit-requests-remaining"] == "4"


def test_a_refusal_brings_the_headers_along():
    refusal = verdict(KeyLimits(requests_per_minute=3), used=3).refusal
    assert refusal.headers()["anthropic-ratelimit-requests-remaining"] == "0"


def test_two_keys_and_two_minutes_have_counters_of_their_own():
    limits = KeyLimits(requests_per_minute=3)
    names = {
        meters_of(limits, Subject("key", key), now)[0].counter for key in (1, 2) for now in (NOW, NOW + 60)
    }
    assert len(names) == 4


def test_too_many_at_once_is_told_to_wait_a_second():
    assert verdict(KeyLimits(concurrent_requests=2), held=1).refusal is None
    refusal = verdict(KeyLimits(concurrent_requests=2), held=2).refusal
    assert refusal.headers() == {"retry-after": "1"}
    assert refusal.message == "This request would exceed your limit of 2 concurrent requests"


def test_what_is_held_by_others_may_be_left_in_the_end_so_the_client_may_come_again():
    limits = KeyLimits(spend_budget=1_000)
    assert verdict(limits, used=900, held=99).refusal is None
    refusal = verdict(limits, used=900, held=100).refusal
    assert "held by requests that are still under way" in refusal.message
    assert refusal.headers() == {"retry-after": "10"}


@pytest.mark.parametrize("used", [0, 100, 499])
def test_while_half_of_a_budget_is_left_two_may_run_whatever_they_may_cost(used):
    limits, dear = KeyLimits(spend_budget=1_000), Need(cost=10**9)
    held = meters_of(limits, TEAM, NOW)[0].held(dear)
    assert verdict(limits, used=used, held=held, need=dear).refusal is None
    assert verdict(limits, used=used, held=2 * held, need=dear).refusal is not None


def test_with_less_one_runs_after_the_other():
    limits, dear = KeyLimits(spend_budget=1_000), Need(cost=10**9)
    held = meters_of(limits, TEAM, NOW)[0].held(dear)
    assert verdict(limits, used=500, need=dear).refusal is None
    assert verdict(limits, used=500, held=held, need=dear).refusal is not None


def test_a_prompt_that_no_minute_has_room_for_is_not_told_to_wait():
    refusal = verdict(KeyLimits(input_tokens_per_minute=99)).refusal
    assert isinstance(refusal, InvalidRequest)
    assert refusal.message.startswith("prompt is too long: 100 tokens > 99 maximum")


def test_an_absurd_number_of_a_provider_fits_a_counter():
    need = Need(10**30, 10**30, 10**30, 10**30)
    meters = meters_of(KeyLimits(1, 1, 1, 1, "day", 1, 1), TEAM, NOW)
    assert max(need.amount(meter.unit) for meter in meters) == MOST
    assert min(Need(-5, -5, -5, -5).amount(meter.unit) for meter in meters) == 0


def test_what_uses_no_tokens_counts_as_a_request_alone():
    limits = KeyLimits(5, 5, 5, 5, "day", 5, 5)
    assert [meter.unit for meter in meters_of(limits, TEAM, NOW, free=True)] == ["requests", "running"]


def test_keys_of_one_lineage_are_one_subject():
    first, second = KeyEntry(3, "a", "d"), KeyEntry(9, "a", "e", lineage=3)
    assert Subject.of(first) == Subject.of(second) == ("key", 3)
