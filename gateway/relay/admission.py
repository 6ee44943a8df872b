"""Who may come in: a turn in this process, and what the limits of the key leave.

An exchange takes its turn before its request is converted and is charged before its provider
is asked. When it has ended it leaves, and what it really used is settled (`endings.py`).
"""

from __future__ import annotations

import time
from typing import Final, Protocol

from gateway.conversion.context import AnswerContext
from gateway.errors import AuthenticationFailed
from gateway.limits.meters import Need
from gateway.pricing.price import Tokens
from gateway.relay.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.telemetry import metrics

# Output that is put aside for a request before its length is known, in tokens.
EXPECTED_OUTPUT: Final = 1000
_BILLION: Final = 1_000_000_000


class Asked(Protocol):
    """The tries of an exchange, once the first target is chosen."""

    @property
    def context(self) -> AnswerContext: ...


async def come_in(exchange: Exchange, gateway: Gateway) -> None:
    """Take a turn in this process. Raises Saturated."""
    if gateway.gate.full:
        with metrics.waiting():
            await gateway.gate.enter()
    else:
        await gateway.gate.enter()
    exchange.inside = True
    if gateway.counting:
        metrics.came_in()


async def charge(exchange: Exchange, gateway: Gateway, asked: Asked) -> None:
    """Charge the limits of the exchange's key with what it is expected to use.

    Raises TooManyRequests or NotAllowed (specification 7.2).
    """
    key = exchange.arrival.key
    if key is None or key.limits is None:
        return
    context = asked.context
    tokens = Tokens(context.estimated_input_tokens, min(context.max_tokens, EXPECTED_OUTPUT))
    need = _need(tokens, exchange, gateway)
    admission = await gateway.limiter.admit(key, exchange.request_id, exchange.asked_model, need)
    exchange.admission, exchange.limit_headers = admission, admission.headers


def still_admitted(exchange: Exchange, gateway: Gateway) -> None:
    """Look again at the key of an exchange that may have waited. Raises AuthenticationFailed.

    From here on the exchange is among the live ones, and is told.
    """
    key = exchange.arrival.key
    if key is not None and (reason := gateway.configuration.snapshot.dismissal(key, time.time())):
        raise AuthenticationFailed(f"invalid x-api-key: {reason}")


def leave(exchange: Exchange, gateway: Gateway) -> None:
    """The exchange has ended: settle what it used and make room. May be called again."""
    if exchange.inside:
        exchange.inside = False
        gateway.gate.leave()
        if gateway.counting:
            metrics.left()
    admission, exchange.admission = exchange.admission, None
    if admission is not None:
        gateway.limiter.settle(admission, _need(_used(exchange), exchange, gateway))


def _used(exchange: Exchange) -> Tokens:
    usage = exchange.usage
    return Tokens(
        usage.get("input_tokens") or 0,
        usage.get("output_tokens") or 0,
        usage.get("cache_read_input_tokens") or 0,
        usage.get("cache_creation_input_tokens") or 0,
    )


def _need(tokens: Tokens, exchange: Exchange, gateway: Gateway) -> Need:
    """Tokens as a need, with their cost at the target that is asked."""
    cost = None
    if exchange.route is not None:
        prices = gateway.configuration.snapshot.prices
        provider, model = exchange.route.provider.slug, exchange.route.upstream_model
        cost = prices.cost(tokens, provider, model, exchange.started_at)
    return Need(
        tokens.input + tokens.cache_write,
        tokens.output,
        tokens.cache_read,
        None if cost is None else int(cost.amount * _BILLION),
    )
