"""Settings for clients that follow from what is configured here."""

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal

from gateway.config.suggested_settings import suggested
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates
from gateway.routing.snapshot import ProviderConfig
from tests.conftest import key_entry, rule, snapshot_of

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def snapshot(keys=()):
    provider = ProviderConfig(slug="fake", name="Fake", base_url="http://x", options={"efforts": ["low"]})
    rates = Rates(Decimal("1.25"), Decimal(10), cache_read=Decimal("0.125"))
    book = dataclasses.replace(PriceBook(), rules=(PriceRule(Price(rates), "gpt-x"),))
    rules = [
        rule("gpt-big", upstream_model="gpt-x", id=1),
        rule("claude-small", upstream_model="unpriced", id=2),
        rule("*", id=3),
    ]
    return snapshot_of(providers=[provider], rules=rules, keys=keys, prices=book)


def test_models_come_with_labels_prices_and_what_they_behave_like():
    settings = suggested(snapshot(), None, NOW)
    assert settings == {
        "modelPicker": {
            "options": [
                {
                    "model": "gpt-big",
                    "label": "gpt-big",
                    "description": "gpt-x (Fake)",
                    "behavesAs": "claude-opus-4-8",
                },
                {"model": "claude-small", "label": "claude-small", "description": "unpriced (Fake)"},
            ],
            "replaceBuiltInOptions": True,
        },
        "modelPricing": {
            "overrides": {"gpt-big": {"input": 1.25, "output": 10, "cacheRead": 0.125, "cacheWrite": 1.25}}
        },
    }


def test_a_key_that_may_not_ask_for_all_gets_a_list_of_what_it_may():
    narrow = key_entry("a", allowed_models=("gpt-*",))
    settings = suggested(snapshot([narrow]), narrow, NOW)
    assert settings["availableModels"] == ["gpt-big"]
    assert settings["model"] == "gpt-big"
    wide = key_entry("b", id=2)
    assert "availableModels" not in suggested(snapshot([narrow, wide]), wide, NOW)


def test_nothing_listed_is_nothing_suggested():
    assert suggested(snapshot_of(providers=[]), None, NOW) == {}
