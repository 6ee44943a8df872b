"""PriceBook: which price applies to an upstream model at a given time.

An admin's price beats the catalogue's. Among the admin's prices, one for the provider beats one
for all providers, an exact name beats a pattern, and the one that began later beats the earlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from gateway import patterns
from gateway.cache import GenerationalCache
from gateway.pricing.price import Price, Tokens

_LARGEST_MEMO: Final = 2048


class Catalogue(Protocol):
    """A list of known prices, by the address of a provider's API."""

    def price(self, base_url: str, model: str, at: datetime, tier: str = "") -> Price | None: ...


@dataclass(frozen=True, slots=True)
class PriceRule:
    """A price set by an admin.

    `provider` "" means every provider; `regex` belongs to a pattern, None for an exact name (case is
    ignored). It applies from `since` (inclusive) until `until` (exclusive).
    """

    price: Price
    model: str
    provider: str = ""
    regex: patterns.Pattern[str] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def means(self, provider: str, model: str) -> bool:
        """Whether it is about this model of this provider, at any time."""
        if self.provider and self.provider != provider:
            return False
        if self.regex is not None:
            return self.regex.fullmatch(model) is not None
        return self.model.casefold() == model.casefold()

    def holds(self, at: datetime) -> bool:
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)

    @property
    def _rank(self) -> tuple[bool, bool, bool, float]:
        began = self.since.timestamp() if self.since else 0.0
        return (bool(self.provider), self.regex is None, self.since is not None, began)


class Cost(NamedTuple):
    """US dollars, and the source of the price they were computed from."""

    amount: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class PriceBook:
    """All prices, frozen. `addresses`: base URL of each provider by slug, for the catalogue."""

    rules: tuple[PriceRule, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)
    catalogue: Catalogue | None = field(default=None, compare=False)
    _memo: GenerationalCache[tuple[str, str], tuple[PriceRule, ...]] = field(
        init=False, default_factory=lambda: GenerationalCache(_LARGEST_MEMO), repr=False, compare=False
    )

    def price(self, provider: str, model: str, at: datetime, tier: str = "") -> Price | None:
        """The price of an upstream model of a provider (its slug); None when nobody knows it.

        `tier`: the provider's word for the service tier that answered, "" for the standard one. An admin's
        price holds for every tier.
        """
        for rule in self._rules_of(provider, model):
            if rule.holds(at):
                return rule.price
        address = self.addresses.get(provider)
        if not address or self.catalogue is None:
            return None
        return self.catalogue.price(address, model, at, tier)

    def cost(self, tokens: Tokens, provider: str, model: str, at: datetime, tier: str = "") -> Cost | None:
        """What one request costs; None when nobody knows the price. Reads memory only."""
        price = self.price(provider, model, at, tier)
        return None if price is None else Cost(price.cost(tokens), price.source)

    def _rules_of(self, provider: str, model: str) -> tuple[PriceRule, ...]:
        """The rules about a model, winners first."""
        key = (provider, model)
        known = self._memo.get(key)
        if known is None:
            found: list[Any] = [rule for rule in self.rules if rule.means(provider, model)]
            # a stable sort: of two equal rules, the first in the list stays first
            known = tuple(sorted(found, key=lambda rule: rule._rank, reverse=True))
            self._memo.put(key, known)
        return known
