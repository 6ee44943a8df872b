"""The catalogue of known prices and windows; the only module that uses genai-prices.

The package contains its data: nothing is downloaded. `~` in the source marks a model that
was found by a pattern and not by its exact name; the price may be that of an older model
of the family.

The package and its imports take 14 MB, and it has nothing about servers of one's own. So it
is imported by name when the first address appears that it may know, because an import
statement inside a function is forbidden here.
"""

from __future__ import annotations

import importlib
import ipaddress
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlsplit

from gateway import patterns
from gateway.pricing.price import ZERO, Price, Rates

PACKAGE: Final = "genai-prices"
_THOUSAND: Final = Decimal(1000)
_DATE: Final = patterns.compiled(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})\Z")
# Plans with a monthly fee: their addresses resemble the pay-as-you-go ones, their prices do not.
_PLANS: Final = patterns.compiled(r"/api/coding/|\.kimi\.com/coding", patterns.IGNORECASE)
# The catalogue has this service under another address.
_SAME_SERVICE: Final = patterns.compiled(r"\Ahttps://api\.minimax\.cn\b"), "https://api.minimax.io"


class KnownPrices:
    """Prices and windows of the catalogue's models, by the base URL of the provider's API."""

    def __init__(self) -> None:
        self._found = lru_cache(maxsize=1024)(self._find)
        self._priced = lru_cache(maxsize=1024)(self._standard_price)
        self._of_tier = lru_cache(maxsize=1024)(self._tier_price)

    def prepare(self, addresses: Iterable[str]) -> None:
        """Load the catalogue now if it may know one of these base URLs; that takes a third of a second."""
        if any(map(_listed, addresses)):
            _snapshot()

    def price(self, base_url: str, model: str, at: datetime, tier: str = "") -> Price | None:
        """The price of a model at a time; None when the catalogue does not know it.

        `tier`: the provider's word for a service tier, "" for the standard one. A tier without prices of its
        own costs what the standard one does, and its name is not in the source.
        """
        found = self._found(base_url, model)
        if found is None:
            return None
        source, info = found
        if tier and (told := _variants(info, at, tier)):
            return self._of_tier(source, tier, _Same(info.get_prices(at)), tuple(map(_Same, told)))
        return self._priced(source, _Same(info.get_prices(at)))

    def models(self, base_url: str) -> list[str]:
        """The names of all models that the catalogue has of the provider at this address."""
        if not _listed(base_url):
            return []
        try:
            provider = _snapshot().find_provider(None, None, base_url)
        except LookupError:
            return []
        return [model.id for model in provider.models]

    def context_window(self, base_url: str, model: str) -> int | None:
        """The model's context window in tokens; None when the catalogue does not know it."""
        found = self._found(base_url, model)
        return None if found is None else found[1].context_window

    def _find(self, base_url: str, model: str) -> tuple[str, Any] | None:
        """(its name as a source, the model)."""
        if not model or _PLANS.search(base_url) or not _listed(base_url):
            return None
        known, instead = _SAME_SERVICE
        try:
            provider, info = _snapshot().find_provider_model(model, None, None, known.sub(instead, base_url))
        except LookupError:
            return None
        about = "" if _same_name(info.id, model) else "~"
        return f"{about}{provider.id}/{info.id} ({PACKAGE} {_release()})", info

    def _tier_price(
        self, source: str, tier: str, standard: _Same, variants: tuple[_Same, ...]
    ) -> Price | None:
        prices = dict(vars(standard.prices))
        for one in reversed(variants):
            prices |= {kind: price for kind, price in vars(one.prices).items() if price is not None}
        return _price(f"{source} {tier}", prices)

    def _standard_price(self, source: str, same: _Same) -> Price | None:
        return _price(source, vars(same.prices))


class _Same:
    """A price of the package as a cache key: equal only to the same object."""

    __slots__ = ("prices",)

    def __init__(self, prices: Any) -> None:
        self.prices = prices

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.prices is self.prices

    def __hash__(self) -> int:
        return id(self.prices)


@cache
def known_prices() -> KnownPrices:
    """The catalogue that the package contains."""
    return KnownPrices()


@cache
def _snapshot() -> Any:
    return importlib.import_module("genai_prices.data_snapshot").get_snapshot()


@cache
def _release() -> str:
    return version(PACKAGE)


def _listed(base_url: str) -> bool:
    """Whether a catalogue may know the address, that is, whether its host has a public name."""
    try:
        host = urlsplit(base_url).hostname or ""
    except ValueError:
        return False
    # the demo's host ends with a name that nobody can register
    return "." in host and not host.endswith(".invalid") and not _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _same_name(known: str, model: str) -> bool:
    asked = model.casefold().rpartition("/")[2]
    return known.casefold().rpartition("/")[2] in (asked, _DATE.sub("", asked))


def _price(source: str, prices: dict[str, Any]) -> Price | None:
    if prices.get("input_mtok") is None and prices.get("output_mtok") is None:
        return None
    tiered = [price for price in prices.values() if _has_tiers(price)]
    starts = sorted({tier.start for price in tiered for tier in price.tiers})
    return Price(
        rates=_rates(prices, 0),
        tiers=tuple((start, _rates(prices, start + 1)) for start in starts),
        request=(_at(prices.get("requests_kcount"), 0) or ZERO) / _THOUSAND,
        source=source,
    )


def _variants(info: Any, at: datetime, tier: str) -> list[Any]:
    """The prices of a service tier at a time, those that count first; none for a tier without its own."""
    # batches are a way of processing in the package's words, Anthropic's fast mode is a speed
    meant = ({"service_tier": tier}, {"processing": tier}, {"speed": tier})
    return [
        variant.prices
        for variant in info.price_variants or ()
        if variant.when in meant
        and (variant.constraint is None or variant.constraint.active(at))
        and any(price is not None for price in vars(variant.prices).values())
    ]


def _rates(prices: dict[str, Any], prompt: int) -> Rates:
    """The rates for prompts of this many tokens."""
    return Rates(
        input=_at(prices.get("input_mtok"), prompt) or ZERO,
        output=_at(prices.get("output_mtok"), prompt) or ZERO,
        cache_read=_at(prices.get("cache_read_mtok"), prompt),
        cache_write=_at(prices.get("cache_write_mtok"), prompt),
        cache_write_1h=_at(prices.get("cache_write_1h_mtok"), prompt),
    )


def _has_tiers(price: Any) -> bool:
    return hasattr(price, "tiers")


def _at(price: Any, prompt: int) -> Decimal | None:
    at: Decimal | None = price
    if _has_tiers(price):
        at = next((tier.price for tier in reversed(price.tiers) if prompt > tier.start), price.base)
    return at
