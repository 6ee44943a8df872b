"""What the misses of a prompt cache cost: counted when one is found, and again when prices changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from gateway.models import CacheMiss
from gateway.pricing.book import PriceBook
from gateway.pricing.price import Tokens

# as many digits as the column has
_PLACES: Final = Decimal("1e-10")


class _Asked(Protocol):
    """The facts of a request that decide what a token of its prompt costs."""

    @property
    def provider(self) -> str: ...
    @property
    def upstream_model(self) -> str: ...
    @property
    def service_tier(self) -> str: ...
    @property
    def input_tokens(self) -> int | None: ...
    @property
    def cache_read_tokens(self) -> int | None: ...
    @property
    def cache_write_tokens(self) -> int | None: ...
    @property
    def cache_write_1h_tokens(self) -> int | None: ...


def lost_by(tokens: int, row: _Asked, began: datetime, prices: PriceBook) -> Decimal | None:
    """US dollars that a request lost on `tokens` that were not read; None when nobody knows its price."""
    price = prices.price(row.provider, row.upstream_model, began, row.service_tier)
    if price is None:
        return None
    prompt = Tokens(
        row.input_tokens or 0,
        cache_read=row.cache_read_tokens or 0,
        cache_write=row.cache_write_tokens or 0,
    )
    rates = price.rates_for(prompt)
    read = rates.amount(Tokens(cache_read=tokens))
    return (rates.amount(_billed(tokens, row)) - read).quantize(_PLACES)


def _billed(tokens: int, row: _Asked) -> Tokens:
    """How `tokens` that were not read were billed: as written, as far as the request wrote, and as input.

    Of what was written, what is kept for an hour comes first, as it does in the prompt.
    """
    written = min(tokens, row.cache_write_tokens or 0)
    hourly = min(written, row.cache_write_1h_tokens or 0)
    return Tokens(tokens - written, cache_write=written, cache_write_1h=hourly)


def value_again(rows: Iterable[Any], prices: PriceBook) -> int:
    """Give the misses of these requests (RequestLog) what they cost by the price book; returns how many
    changed.

    As with a request's cost, a miss keeps its value when its provider is no longer configured.
    """
    by_id = {row.request_id: row for row in rows}
    changed = []
    for miss in CacheMiss.objects.filter(log__in=list(by_id)):
        row = by_id[miss.log_id]
        money = lost_by(miss.tokens, row, row.started_at, prices)
        kept = money is None and row.provider not in prices.addresses
        if money != miss.money and not kept:
            miss.money = money
            changed.append(miss)
    CacheMiss.objects.bulk_update(changed, ["money"])
    return len(changed)
