"""The catalogue of known prices, as the package brings it."""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gateway.config.snapshot.catalogue import known_prices
from gateway.pricing.price import Tokens

NOW = datetime(2026, 11, 20, tzinfo=UTC)
OPENAI = "https://api.openai.com/v1"
MILLION = Tokens(input=1_000_000)


def test_a_price_changes_on_the_day_on_which_the_provider_changed_it():
    before = known_prices().price(OPENAI, "gpt-5.6-sol", datetime(2026, 8, 20, tzinfo=UTC))
    after = known_prices().price(OPENAI, "gpt-5.6-sol", datetime(2026, 8, 22, tzinfo=UTC))
    assert (before.rates.input, before.rates.output) == (5, 30)
    assert (after.rates.input, after.rates.output) == (4, 20)


def test_long_prompts_and_caches_have_their_rates():
    price = known_prices().price(OPENAI, "gpt-5.6-sol", NOW)
    assert price.rates.cache_read == Decimal("0.4")
    assert price.rates.cache_write == Decimal(5)
    [(above, dearer)] = price.tiers
    assert above == 272_000
    assert (dearer.input, dearer.output, dearer.cache_read) == (8, 30, Decimal("0.8"))
    assert price.cost(MILLION) == 8


def test_cache_writes_for_an_hour_are_known_where_they_differ():
    price = known_prices().price("https://api.anthropic.com", "claude-opus-5-5", NOW)
    assert (price.rates.cache_write, price.rates.cache_write_1h) == (5, 8)


@pytest.mark.parametrize(
    ("tier", "rates"), [("flex", (1, 5)), ("priority", (4, 20)), ("fast", (4, 20)), ("batch", (1, 5))]
)
def test_service_tiers_have_prices_of_their_own_and_the_source_names_them(tier, rates):
    price = known_prices().price(OPENAI, "gpt-6.1-sol", NOW, tier)
    assert (price.rates.input, price.rates.output) == rates
    assert price.source.endswith(f" {tier}")
    [(above, dearer)] = price.tiers
    assert (above, dearer.input) == (272_000, 2 * rates[0])


def test_a_fast_answer_of_anthropic_costs_what_fast_ones_do():
    slow, fast = (
        known_prices().price("https://api.anthropic.com", "claude-opus-4-8", NOW, tier)
        for tier in ("", "fast")
    )
    assert (slow.rates.input, fast.rates.input) == (5, 10)


@pytest.mark.parametrize("tier", ["priority", "scale", "no such tier", "default"])
def test_a_tier_without_a_price_costs_the_standard_price(tier):
    standard = known_prices().price(OPENAI, "gpt-4-turbo", NOW)
    assert known_prices().price(OPENAI, "gpt-4-turbo", NOW, tier) == standard


def test_what_a_tier_does_not_price_costs_what_the_standard_tier_asks():
    batch = known_prices().price(OPENAI, "gpt-4o", NOW, "batch")
    assert (batch.rates.input, batch.rates.cache_read) == (Decimal("1.25"), Decimal("1.25"))


@pytest.mark.parametrize(
    ("address", "model", "source"),
    [
        (OPENAI, "gpt-5.6-sol", "openai/gpt-5.6-sol ("),
        (OPENAI, "gpt-5.6-sol-2026-04-23", "openai/gpt-5.6-sol ("),
        (OPENAI, "gpt-5.6", "~openai/gpt-5.6-sol ("),
        ("https://team.openai.azure.com/openai/v1", "gpt-5.6-sol", "openai/gpt-5.6-sol ("),
        ("https://openrouter.ai/api/v1", "openai/gpt-6.1-sol", "openrouter/openai/gpt-6.1-sol ("),
        ("https://api.minimax.cn/v1", "MiniMax-M3", "minimax/minimax-m3 ("),
    ],
)
def test_the_source_names_the_model_and_marks_one_of_another_name(address, model, source):
    found = known_prices().price(address, model, NOW)
    assert found.source.removeprefix("azure/").startswith((source, source.replace("openai/", "", 1)))


@pytest.mark.parametrize(
    ("address", "model"),
    [
        (OPENAI, "no-such-model"),
        (OPENAI, ""),
        ("http://127.0.0.1:8080/v1", "gpt-5.6-sol"),
        ("https://api.z.ai/api/coding/paas/v4", "glm-5.3"),
    ],
)
def test_what_is_not_known_has_no_price(address, model):
    assert known_prices().price(address, model, NOW) is None


def test_windows_are_known_too():
    assert known_prices().context_window(OPENAI, "gpt-5.6-sol") == 1_050_000
    assert known_prices().context_window(OPENAI, "no-such-model") is None


@pytest.mark.parametrize(
    ("addresses", "loaded"),
    [
        (
            ["http://127.0.0.1:11434/v1", "http://[::1]:8080", "http://vllm:8000/v1", "http://10.0.0.7/v1"],
            False,
        ),
        (["http://localhost:11434/v1", OPENAI], True),
        (["http://[", ""], False),
    ],
)
def test_the_package_is_loaded_with_the_first_address_that_it_may_know(addresses, loaded):
    script = f"""
import sys
from gateway.config.snapshot.catalogue import known_prices
known_prices().prepare({addresses!r})
for address in {addresses!r}:
    if not {loaded}:
        known_prices().context_window(address, "gpt-5.6-sol")
print("genai_prices.data" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(loaded)
