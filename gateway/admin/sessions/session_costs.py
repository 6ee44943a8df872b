"""What a session cost and how its context grew: by turn, by kind of token, and the costliest (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.ui.charts import Chart, ChartColumn, stacked
from gateway.history.totals.costs import Metered, tokens_of
from gateway.pricing.price import ZERO, CostParts, Price

# turns in a chart; of a longer session the newest
MOST_TURNS: Final = 400
# the most expensive requests that are listed
LISTED: Final = 5
_KINDS: Final = {
    "input": gettext_lazy("input"),
    "cache_read": gettext_lazy("read from the cache"),
    "cache_write": gettext_lazy("written to the cache"),
    "output": gettext_lazy("output"),
    "request": gettext_lazy("for the request itself"),
}


class PricedTurn(Metered, Protocol):
    """The facts of one request that these functions need."""

    @property
    def pk(self) -> int: ...
    @property
    def agent_id(self) -> str: ...
    @property
    def cost(self) -> Decimal | None: ...


class KindOfCost(NamedTuple):
    """`percent` of the whole."""

    name: Any
    cost: Decimal
    percent: float


PriceOf = Callable[[str, str, datetime, str], Price | None]


def by_kind(turns: Sequence[PricedTurn], price: PriceOf) -> list[KindOfCost]:
    """What the turns cost by kind of token, without kinds that cost nothing; the most expensive first.

    The stored cost of each turn is split in proportion to present prices, so that the sum stays the stored
    one even if prices have changed. Turns without a known price are left out.
    """
    sums = dict.fromkeys(CostParts._fields, ZERO)
    for turn in turns:
        if not turn.cost:
            continue
        found = price(turn.provider, turn.upstream_model, turn.started_at, turn.service_tier)
        parts = CostParts() if found is None else found.parts(tokens_of(turn))
        whole = sum(parts, ZERO)
        if whole:
            for kind, part in zip(CostParts._fields, parts, strict=True):
                sums[kind] += turn.cost * part / whole
    whole = sum(sums.values(), ZERO)
    dearest = sorted(sums.items(), key=lambda one: -one[1])
    return [KindOfCost(_KINDS[kind], cost, float(100 * cost / whole)) for kind, cost in dearest if cost]


def dearest(turns: Sequence[PricedTurn]) -> list[PricedTurn]:
    """The most expensive turns, in order; none if only one has a cost."""
    priced = sorted((turn for turn in turns if turn.cost), key=lambda turn: turn.cost or ZERO, reverse=True)
    return priced[:LISTED] if len(priced) > 1 else []


def context_chart(turns: Sequence[PricedTurn]) -> Chart | None:
    """The prompt of each turn of the main agent, in tokens; None with fewer than two."""
    main = [turn for turn in turns if turn.agent_id == "" and turn.input_tokens is not None][-MOST_TURNS:]
    if len(main) < 2:
        return None
    layers = [
        (_("read from the cache"), [turn.cache_read_tokens or 0 for turn in main]),
        (_("written to the cache"), [turn.cache_write_tokens or 0 for turn in main]),
        (_("input"), [turn.input_tokens or 0 for turn in main]),
    ]
    return _chart(_("Context by turn of the main agent"), main, layers, lambda tokens: f"{tokens:,}")


def cost_chart(turns: Sequence[PricedTurn]) -> Chart | None:
    """The cost of each turn, subagents' turns separately; None with fewer than two turns that have a cost."""
    priced = [turn for turn in turns if turn.cost is not None][-MOST_TURNS:]
    if len(priced) < 2 or not any(turn.cost for turn in priced):
        return None
    layers = [(_("main agent"), [turn.cost if turn.agent_id == "" else ZERO for turn in priced])]
    if any(turn.agent_id for turn in priced):
        layers.append((_("subagents"), [turn.cost if turn.agent_id else ZERO for turn in priced]))
    return _chart(_("Cost by turn"), priced, layers, lambda cost: f"${cost:,.4f}", "dollars")


def _chart(
    title: str,
    turns: Sequence[PricedTurn],
    layers: Sequence[tuple[str, Sequence[Any]]],
    said: Callable[[Any], str],
    unit: str = "number",
) -> Chart:
    columns = [
        ChartColumn(
            f"{timezone.localtime(turn.started_at):%H:%M:%S}",
            reverse("admin:gateway_requestlog_change", args=[turn.pk]),
        )
        for turn in turns
    ]
    return stacked(title, columns, [layer for layer in layers if any(layer[1])], said, unit)
