"""Settings for clients that follow from the mappings, prices and keys here, to be copied into a policy."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from gateway.pricing.price import Rates
from gateway.routing.allowed_models import ModelEntry, model_lists, visible_models
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry

# the client knows it, with adaptive thinking and effort
_LIKE: Final = "claude-opus-4-8"
# names that the client knows, or treats as if it did
_KNOWN: Final = "claude-"


def suggested(snapshot: ConfigSnapshot, key: KeyEntry | None, now: datetime) -> dict[str, Any]:
    """`modelPicker`, `modelPricing` and, where `key` may not ask for all, `model` and `availableModels`.

    `key` None: for everybody.
    """
    entries: dict[str, ModelEntry] = {entry.id: entry for entry in visible_models(snapshot, key)}
    if not entries:
        return {}
    settings: dict[str, Any] = {
        "modelPicker": {
            "options": [_option(entry) for entry in entries.values()],
            "replaceBuiltInOptions": True,
        }
    }
    prices = {
        entry.id: price for entry in entries.values() if (price := _price(snapshot, entry, now)) is not None
    }
    if prices:
        settings["modelPricing"] = {"overrides": prices}
    if model_lists(key):
        # without a default the client would ask for the first of the list with claude- before its name
        settings["model"] = next(iter(entries))
        settings["availableModels"] = list(entries)
    return settings


def _option(entry: ModelEntry) -> dict[str, str]:
    route = entry.route
    option = {
        "model": entry.id,
        "label": entry.id,
        "description": f"{route.upstream_model} ({route.provider.name})",
    }
    if not entry.id.startswith(_KNOWN) and route.profile.effort_levels:
        option["behavesAs"] = _LIKE
    return option


def _price(snapshot: ConfigSnapshot, entry: ModelEntry, now: datetime) -> dict[str, float] | None:
    """Dollars for a million tokens; the client ignores a row without all four numbers."""
    price = snapshot.prices.price(entry.route.provider.slug, entry.route.upstream_model, now)
    if price is None:
        return None
    rates: Rates = price.rates
    read = rates.input if rates.cache_read is None else rates.cache_read
    write = rates.input if rates.cache_write is None else rates.cache_write
    return {
        "input": _number(rates.input),
        "output": _number(rates.output),
        "cacheRead": _number(read),
        "cacheWrite": _number(write),
    }


def _number(amount: Decimal) -> float:
    number = float(amount)
    return int(number) if number.is_integer() else number
