"""Admission: a place in this process, and the limits of the key.

An exchange takes a place before its request is converted, and its key is charged before the provider is
asked. At the end the place is freed and the actual use is settled (`finalize.py`).
"""

from __future__ import annotations

import dataclasses
import time
from typing import Final, Protocol

from gateway.conversion.context import AnswerContext
from gateway.errors import AuthenticationFailed
from gateway.history.outcome import ExchangeOutcome
from gateway.history.totals.costs import cost_of
from gateway.limits.limiter import unpriced
from gateway.limits.meters import Need
from gateway.pricing.price import Tokens
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.routing.resolve import Route
from gateway.routing.snapshot import KeyEntry, KeyLimits
from gateway.telemetry import metrics

# Output of a typical answer, in tokens: charged against a rate before the length is known.
EXPECTED_OUTPUT: Final = 1000
_BILLION: Final = 1_000_000_000


class AdmissionSubject(Protocol):
    """The tries of an exchange, after the first target was chosen."""

    @property
    def context(self) -> AnswerContext: ...


async def come_in(exchange: Exchange, gateway: Gateway) -> None:
    """Take a place in this process. Raises Saturated."""
    if exchange.arrival.purpose is not None:
        return
    if gateway.gate.full:
        with metrics.waiting():
            await gateway.gate.enter()
    else:
        await gateway.gate.enter()
    exchange.inside = True
    if gateway.counting:
        metrics.came_in()


def payable(exchange: Exchange, gateway: Gateway, routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """The routes that the exchange's key can pay for; the first one becomes the exchange's.

    Raises NotAllowed when there are none.
    """
    priced = affordable(exchange, gateway, routes)
    if not priced:
        raise unpriced(exchange.asked_model)
    if priced is not routes:
        exchange.route = priced[0]
    return priced


def affordable(exchange: Exchange, gateway: Gateway, routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """All routes, or those with a price where the exchange's key needs one."""
    if not gateway.limiter.wants_prices(exchange.arrival.key):
        return routes
    prices = gateway.configuration.snapshot.prices
    return tuple(
        route
        for route in routes
        if prices.price(route.provider.slug, route.upstream_model, exchange.started_at) is not None
    )


async def charge(exchange: Exchange, gateway: Gateway, asked: AdmissionSubject) -> None:
    """Charge the limits of the exchange's key: rates with the expected use, budgets with the largest cost.

    Raises TooManyRequests, InvalidRequest or NotAllowed (docs/conversion.md, "Errors of the gateway").
    """
    context = asked.context
    await charge_tokens(exchange, gateway, Tokens(context.estimated_input_tokens, context.max_tokens))


async def charge_tokens(exchange: Exchange, gateway: Gateway, tokens: Tokens) -> None:
    """The same with tokens that somebody else has estimated; one exchange is charged once."""
    key = exchange.arrival.key
    if key is None or not key.counted or exchange.admission is not None:
        return
    cost = None
    if exchange.route is not None:
        prices = gateway.configuration.snapshot.prices
        provider, model = exchange.route.provider.slug, exchange.route.upstream_model
        cost = prices.cost(tokens, provider, model, exchange.started_at)
    need = Need(
        tokens.input,
        min(tokens.output, EXPECTED_OUTPUT),
        tokens.input + tokens.output,
        None if cost is None else int(cost.amount * _BILLION),
    )
    await _admitted(exchange, gateway, need)


def not_stopped(exchange: Exchange, gateway: Gateway) -> None:
    """Raises Stopped while the emergency stop is on. A check of an answer that has begun belongs to it."""
    if exchange.arrival.purpose is None:
        gateway.configuration.snapshot.admit()


def still_admitted(exchange: Exchange, gateway: Gateway) -> None:
    """Check the emergency stop and the key again after a possible wait. Raises Stopped, AuthenticationFailed.

    Then the exchange is among the live ones, which end if their key is refused.
    """
    not_stopped(exchange, gateway)
    key = exchange.arrival.key
    if key is not None and (reason := gateway.configuration.snapshot.dismissal(key, time.time())):
        raise AuthenticationFailed(reason)


async def charge_request(exchange: Exchange, gateway: Gateway) -> None:
    """Charge the limits of the exchange's key with a request that uses no tokens. Raises TooManyRequests."""
    key = exchange.arrival.key
    if key is not None and key.counted and exchange.admission is None:
        await _admitted(exchange, gateway, Need(), free=True)


def leave(exchange: Exchange, gateway: Gateway, outcome: ExchangeOutcome) -> None:
    """The exchange has ended in `outcome`: settle what it used and give up its place. Safe to repeat."""
    if exchange.inside:
        exchange.inside = False
        gateway.gate.leave()
        if gateway.counting:
            metrics.left()
    admission, exchange.admission = exchange.admission, None
    if admission is not None:
        gateway.limiter.settle(admission, _used(outcome, gateway))


def _with_budgets_alone(key: KeyEntry) -> KeyEntry:
    """The key for a request that is part of another one, which was counted against its rates."""
    limits = key.limits
    if limits is None:
        return key
    budgets = KeyLimits(
        budget_period=limits.budget_period,
        spend_budget=limits.spend_budget,
        token_budget=limits.token_budget,
    )
    return dataclasses.replace(key, limits=budgets)


async def _admitted(exchange: Exchange, gateway: Gateway, need: Need, *, free: bool = False) -> None:
    key, model = exchange.arrival.key, exchange.asked_model
    if key is not None and exchange.arrival.purpose is not None:
        key = _with_budgets_alone(key)
    contact = gateway.configuration.snapshot.contact
    admission = await gateway.limiter.admit(key, exchange.request_id, model, need, free=free, contact=contact)
    exchange.admission, exchange.limit_headers = admission, admission.headers


def _used(outcome: ExchangeOutcome, gateway: Gateway) -> Need:
    """What the history counts for the exchange, in the units of a budget."""
    cost, _ = cost_of(outcome, gateway.configuration.snapshot.prices)
    tokens_in, tokens_out = outcome.input_tokens or 0, outcome.output_tokens or 0
    read, written = outcome.cache_read_tokens or 0, outcome.cache_write_tokens or 0
    return Need(
        tokens_in + written,
        tokens_out,
        tokens_in + tokens_out + read + written,
        None if cost is None else int(cost * _BILLION),
    )
