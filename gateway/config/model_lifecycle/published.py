"""What installed packages tell about models, as `models.json` holds it.

openai's package says the ends in the text behind its list of models, anthropic's in a table; both are
development dependencies. Windows and prices are genai-prices'. Neither tells how long an answer may be: that
is read from the presets' rules, where they have it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway import patterns
from gateway.config.model_lifecycle.lifecycle import successor
from gateway.config.presets.presets import preset
from gateway.config.snapshot.catalogue import PACKAGE, known_prices
from gateway.pricing.price import Price, Rates

_ENTRY: Final = patterns.compiled(r'- ((?:"[^"]+",? ?)+): Announced shutdown date: (\d{4}-\d{2}-\d{2})\.')
_NAME: Final = patterns.compiled(r'"([^"]+)"')
_ORDINAL: Final = patterns.compiled(r"(\d)(?:st|nd|rd|th),")
# as the providers name them in their answers; the first is what everybody gets
_TIERS: Final = ("standard", "flex", "priority", "fast", "batch")


class _Maker(NamedTuple):
    package: str
    base_url: str


_MAKERS: Final = (
    _Maker("anthropic", "https://api.anthropic.com"),
    _Maker("openai", "https://api.openai.com/v1"),
)


def published(day: date) -> dict[str, Any]:
    """The content of `models.json`, with the prices of a day.

    For each maker the `sources` and the `models`, each with what is known of `window` and `output` in tokens,
    `prices` by tier in US dollars for a million tokens (`above`: for longer prompts), `ends`, `successor`.
    Raises ImportError without the packages, ValueError when one tells no end any more.
    """
    ends = {"anthropic": _anthropic(), "openai": _openai()}
    return {"prices_of": day.isoformat(), "makers": {one.package: _made(one, ends, day) for one in _MAKERS}}


def as_text(content: Mapping[str, Any]) -> str:
    """The file's text: one model a line, so that a diff shows which changed."""
    makers = []
    for maker, told in content["makers"].items():
        models = ",\n".join(
            f"   {json.dumps(name)}: {json.dumps(facts)}" for name, facts in told["models"].items()
        )
        sources = json.dumps(told["sources"])
        makers.append(f'  {json.dumps(maker)}: {{"sources": {sources}, "models": {{\n{models}\n  }}}}')
    joined = ",\n".join(makers)
    return f'{{"prices_of": {json.dumps(content["prices_of"])},\n "makers": {{\n{joined}\n }}}}\n'


def _made(maker: _Maker, all_ends: Mapping[str, Mapping[str, date]], day: date) -> dict[str, Any]:
    ends = all_ends[maker.package]
    if not ends:
        raise ValueError(f"the package {maker.package} tells no ends of models")
    names = sorted({*ends, *known_prices().models(maker.base_url)})
    prices = f"{PACKAGE} {version(PACKAGE)}"
    return {
        "sources": {
            "window": prices,
            "output": f"known_providers/{maker.package}.json",
            "prices": prices,
            "ends": f"{maker.package} {version(maker.package)}",
        },
        "models": {name: dict(_facts(maker, name, ends.get(name), day)) for name in names},
    }


def _facts(maker: _Maker, model: str, ends: date | None, day: date) -> Iterator[tuple[str, Any]]:
    window = known_prices().context_window(maker.base_url, model)
    if window:
        yield "window", window
    caps = [
        rule.options["max_output_tokens"]
        for rule in preset(maker.package).model_rules
        if "max_output_tokens" in rule.options and rule.match.search(model)
    ]
    if caps:
        yield "output", caps[-1]
    if prices := dict(_prices(maker, model, datetime.combine(day, time(), UTC))):
        yield "prices", prices
    if ends is not None:
        yield "ends", ends.isoformat()
        yield "successor", successor(maker.package, model)


def _prices(maker: _Maker, model: str, at: datetime) -> Iterator[tuple[str, Any]]:
    for tier in _TIERS:
        price = known_prices().price(maker.base_url, model, at, "" if tier == _TIERS[0] else tier)
        # a model of a similar name is not this one
        if price is None or price.source.startswith("~"):
            continue
        if tier == _TIERS[0] or price.source.endswith(f" {tier}"):
            yield tier, _told(price)


def _told(price: Price) -> dict[str, Any]:
    above = {str(start): _rates(rates) for start, rates in price.tiers}
    return {**_rates(price.rates), **({"above": above} if above else {})}


def _rates(rates: Rates) -> dict[str, str]:
    named = {name: getattr(rates, name) for name in Rates.__slots__}
    return {name: format(rate.normalize(), "f") for name, rate in named.items() if rate is not None}


def _openai() -> dict[str, date]:
    module = importlib.import_module("openai.types.shared.chat_model")
    text = " ".join(Path(str(module.__file__)).read_text("utf-8").split())
    return {
        model: date.fromisoformat(day)
        for names, day in _ENTRY.findall(text)
        for model in _NAME.findall(names)
    }


def _anthropic() -> dict[str, date]:
    table: Mapping[str, str] = importlib.import_module("anthropic._data").DEPRECATED_MODELS
    return {
        model: datetime.strptime(_ORDINAL.sub(r"\1,", text) + " +0000", "%B %d, %Y %z").date()
        for model, text in table.items()
    }
