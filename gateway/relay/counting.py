"""The provider's own count of a request's tokens, where it has a counter (specification section 8.2)."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from gateway.conversion.context import AnsweredLocally
from gateway.conversion.dialects import DIALECTS
from gateway.conversion.ledger import Ledger
from gateway.errors import GatewayError
from gateway.relay.conversion import beside_the_loop
from gateway.relay.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.routing.resolve import Route
from gateway.upstream.choices import Choices
from gateway.upstream.prepare import upstream_call
from gateway.wire import jsontext

PATIENCE: Final = 10.0
MAX_COUNT: Final = 64 * 1024
_NO_SUCH_PATH: Final = frozenset({404, 405, 501})


async def provider_count(
    exchange: Exchange, gateway: Gateway, route: Route, request: dict[str, Any]
) -> dict[str, Any] | None:
    """The answer of the provider's count_tokens; None when it has none, or gave no number in PATIENCE.

    A provider that does not know the path is not asked again by this process.
    """
    dialect, provider = DIALECTS[route.profile.protocol], route.provider
    address = f"{provider.slug} {provider.base_url}"
    if not dialect.counts or address in gateway.without_counter:
        return None
    arguments = (request, route.profile, exchange.arrival.client_facts, gateway.new_id, Ledger())
    converted = await beside_the_loop(exchange, route, dialect.request, *arguments)
    if isinstance(converted, AnsweredLocally):
        return None
    session = exchange.arrival.client_facts.session or exchange.request_id
    choice = Choices((route,), session, gateway.health).next(gateway.now().timestamp(), 0.0)
    if choice is None:
        return None
    call = upstream_call(
        provider,
        route.profile.protocol,
        converted.body,
        converted.headers,
        choice.credential.value if choice.credential else None,
        query=converted.query,
        below="/count_tokens",
    )
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await gateway.client.open(call)
            try:
                counted = _loaded(await answer.body(MAX_COUNT))
            finally:
                await answer.close()
    except (GatewayError, TimeoutError):
        return None
    if answer.status in _NO_SUCH_PATH and counted.get("type") != "error":
        # an error of the Messages API would mean that it knows the path and not the model
        gateway.without_counter.add(address)
    return counted if answer.status == 200 and type(counted.get("input_tokens")) is int else None


def _loaded(body: bytes) -> dict[str, Any]:
    try:
        counted = jsontext.loads(body)
    except jsontext.InvalidJSON:
        return {}
    return counted if isinstance(counted, dict) else {}
