"""What an exchange costs, from its tokens and the price book. Runs in the recorder's thread.

Three cases look alike and are not:
    0      nothing was charged: no provider was asked, or it answered with an error and no usage
    a sum  the tokens at the price in force when the exchange began
    null   unpriced: nobody knows the price, or how many tokens there were
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from gateway.history.outcome import ERROR, OPEN
from gateway.pricing.book import PriceBook
from gateway.pricing.price import Tokens

# the digits of the column
_PLACES: Final = Decimal("1e-10")
# endpoints that a provider answers with tokens: for clients, for admins who ask again, and beside a client's
# answer; counting tokens is free
CHARGED: Final = frozenset({"messages", "replay", "shadow"})
_NOTHING: Final = (Decimal(0), "")
_UNPRICED: Final = (None, "")


class Metered(Protocol):
    """What an exchange used, and of which provider; unknown tokens are None."""

    @property
    def provider(self) -> str: ...
    @property
    def upstream_model(self) -> str: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def cache_read_tokens(self) -> int | None: ...
    @property
    def cache_write_tokens(self) -> int | None: ...
    @property
    def cache_write_1h_tokens(self) -> int | None: ...
    @property
    def service_tier(self) -> str: ...


class Charged(Metered, Protocol):
    """The facts of an exchange that decide its cost: an ExchangeOutcome or a RequestLog."""

    @property
    def state(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def attempts(self) -> int: ...


def tokens_of(exchange: Metered) -> Tokens:
    """The tokens of an exchange as a price takes them; unknown ones count as 0."""
    return Tokens(
        input=exchange.input_tokens or 0,
        output=exchange.output_tokens or 0,
        cache_read=exchange.cache_read_tokens or 0,
        cache_write=exchange.cache_write_tokens or 0,
        cache_write_1h=exchange.cache_write_1h_tokens or 0,
    )


def cost_of(exchange: Charged, prices: PriceBook) -> tuple[Decimal | None, str]:
    """(US dollars or None, the source of the price)."""
    if exchange.state == OPEN:
        return _UNPRICED
    if exchange.endpoint not in CHARGED or not exchange.attempts:
        return _NOTHING
    if exchange.input_tokens is None or exchange.output_tokens is None:
        return _NOTHING if exchange.state == ERROR else _UNPRICED
    provider, model, began = exchange.provider, exchange.upstream_model, exchange.started_at
    cost = prices.cost(tokens_of(exchange), provider, model, began, exchange.service_tier)
    return _UNPRICED if cost is None else (cost.amount.quantize(_PLACES), cost.source)
