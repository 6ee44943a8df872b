"""The records of prices as a frozen PriceBook."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from gateway import patterns
from gateway.config.snapshot.catalogue import known_prices
from gateway.models import ModelPrice
from gateway.models.configuration.model_price import tiers_problem
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates
from gateway.routing import names

logger = logging.getLogger(__name__)


FREE: Final = Price(Rates(Decimal(0), Decimal(0)), source="free")
_EVERY_MODEL: Final = patterns.compiled(".*", patterns.DOTALL)


def price_book(
    records: Iterable[ModelPrice], addresses: Mapping[str, str], free: Iterable[str] = ()
) -> PriceBook:
    """The book of these records and the catalogue.

    `addresses`: base URL of each provider by slug; `free`: slugs of providers that charge nothing.
    """
    return PriceBook(
        rules=(
            *(_rule(record) for record in records),
            *(PriceRule(FREE, "*", provider=slug, regex=_EVERY_MODEL) for slug in free),
        ),
        addresses=MappingProxyType(dict(addresses)),
        catalogue=known_prices(),
    )


def _rule(record: ModelPrice) -> PriceRule:
    wildcard = names.is_wildcard(record.model)
    rates = Rates(
        input=record.input,
        output=record.output,
        cache_read=record.cache_read,
        cache_write=record.cache_write,
        cache_write_1h=record.cache_write_1h,
    )
    return PriceRule(
        price=Price(
            rates=rates,
            tiers=_tiers(record, rates),
            request=record.request,
            source=f"price {record.pk}",
        ),
        model=record.model,
        provider=record.provider.slug if record.provider else "",
        regex=patterns.wildcard(record.model) if wildcard else None,
        since=record.valid_from,
        until=record.valid_to,
    )


def _tiers(record: ModelPrice, rates: Rates) -> tuple[tuple[int, Rates], ...]:
    """The tiers in rising order; each inherits from the one below it."""
    if tiers_problem(record.tiers):
        logger.error("price %s: its tiers cannot be read and are left out; open and save it", record.pk)
        return ()
    tiers = []
    for tier in sorted(record.tiers, key=lambda tier: tier["above"]):
        given: dict[str, Any] = {name: Decimal(str(rate)) for name, rate in tier.items() if name != "above"}
        rates = dataclasses.replace(rates, **given)
        tiers.append((tier["above"], rates))
    return tuple(tiers)
