"""What an evaluation may still spend: reserved before a request goes out, settled with what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db.models import Sum

from gateway.models import Evaluation
from gateway.pricing.book import PriceBook
from gateway.pricing.price import Tokens

# the candidate may count the same text as more tokens than the model that answered it
MORE_INPUT: Final = Decimal("1.5")
# the words of providers for tiers with prices of their own; "" is the standard one
SERVICE_TIERS: Final = ("", "flex", "priority", "fast", "batch", "scale")
_PLACES: Final = Decimal("1e-10")
ZERO: Final = Decimal(0)


def largest_cost(
    prices: PriceBook, provider: str, model: str, now: datetime, *, input_tokens: int, max_tokens: int
) -> Decimal | None:
    """What a request may cost at most, in US dollars; None when nobody knows the price.

    `max_tokens`: the cap that is sent. The prompt may be written to the cache for the longest lifetime, and
    the provider may answer in the dearest of its service tiers.
    """
    prompt = int(input_tokens * MORE_INPUT)
    billed = [
        Tokens(prompt, max_tokens),
        Tokens(0, max_tokens, cache_write=prompt),
        Tokens(0, max_tokens, cache_write=prompt, cache_write_1h=prompt),
    ]
    costs = [
        cost.amount
        for tier in SERVICE_TIERS
        for tokens in billed
        if (cost := prices.cost(tokens, provider, model, now, tier)) is not None
    ]
    return max(costs, default=None)


@dataclass(slots=True)
class Spending:
    """`cap` None: there is none. `spent` includes what was lost; `reserved`: by id of what is under way."""

    cap: Decimal | None
    spent: Decimal = ZERO
    reserved: dict[str, Decimal] = field(default_factory=dict)

    @classmethod
    def of(cls, evaluation: Evaluation) -> Spending:
        """From the stored results."""
        return cls(evaluation.spend_cap, spent_on(evaluation))

    def reserve(self, name: str, most: Decimal) -> bool:
        """Whether `most` fits beside what is spent and reserved; if so it is reserved."""
        if self.cap is not None and self.spent + sum(self.reserved.values(), ZERO) + most > self.cap:
            return False
        self.reserved[name] = most
        return True

    def settle(self, name: str, cost: Decimal) -> None:
        """What was reserved under `name` has cost this."""
        self.reserved.pop(name, None)
        self.spent += cost


def spent_on(evaluation: Evaluation) -> Decimal:
    """What an evaluation has cost so far, with the judge, and with what was lost."""
    sums = evaluation.steps.aggregate(asked=Sum("cost"), judged=Sum("judge_cost"))
    spent = evaluation.lost_cost + (sums["asked"] or ZERO) + (sums["judged"] or ZERO)
    # SQLite adds decimals as floating numbers
    return spent.quantize(_PLACES)
