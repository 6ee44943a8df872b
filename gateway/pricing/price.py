"""Price: what one upstream model costs, and the arithmetic from tokens to US dollars.

Token counts are Anthropic's: input, cache reads and cache writes are disjoint, and thinking is
part of the output (docs/conversion.md, "Usage"). What a provider does not price separately costs
as much as input, so a cache without a price of its own never looks free.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

MILLION: Final = Decimal(1_000_000)
ZERO: Final = Decimal(0)


class Tokens(NamedTuple):
    """The tokens of one request. `cache_write_1h` is the part of `cache_write` that is kept for an hour."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0

    @property
    def prompt(self) -> int:
        """Everything that was sent; it decides the tier."""
        return self.input + self.cache_read + self.cache_write


class CostParts(NamedTuple):
    """US dollars by kind of token. `request`: what each request costs beside its tokens."""

    input: Decimal = ZERO
    cache_read: Decimal = ZERO
    cache_write: Decimal = ZERO
    output: Decimal = ZERO
    request: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars for a million tokens. None: the price of `input`; for `cache_write_1h`: of `cache_write`."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None

    def parts(self, tokens: Tokens) -> CostParts:
        """US dollars for these tokens, by kind."""
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        hourly = write if self.cache_write_1h is None else self.cache_write_1h
        kept_for_an_hour = min(tokens.cache_write_1h, tokens.cache_write)
        write_cost = write * (tokens.cache_write - kept_for_an_hour) + hourly * kept_for_an_hour
        return CostParts(
            self.input * tokens.input / MILLION,
            read * tokens.cache_read / MILLION,
            write_cost / MILLION,
            self.output * tokens.output / MILLION,
        )

    def amount(self, tokens: Tokens) -> Decimal:
        """US dollars for these tokens."""
        return sum(self.parts(tokens), ZERO)


@dataclass(frozen=True, slots=True)
class Price:
    """`rates` apply to the smallest prompts; `tiers`, in rising order, replace them for prompts above a
    number of tokens. `request`: US dollars per request. `source` says where the price was found.
    """

    rates: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()
    request: Decimal = ZERO
    source: str = ""

    def parts(self, tokens: Tokens) -> CostParts:
        """US dollars for one request, by kind of token."""
        return self.rates_for(tokens).parts(tokens)._replace(request=self.request)

    def cost(self, tokens: Tokens) -> Decimal:
        """US dollars for one request."""
        return self.rates_for(tokens).amount(tokens) + self.request

    def rates_for(self, tokens: Tokens) -> Rates:
        """The rates that a prompt of this size is billed by."""
        rates = self.rates
        for above, dearer in self.tiers:
            if tokens.prompt > above:
                rates = dearer
        return rates
