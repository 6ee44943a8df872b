"""The provider's own count of a request's tokens, where it has a counter.

See docs/conversion.md, "The provider's counter".
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, cast

from gateway.conversion.context import AnsweredLocally, Converted
from gateway.conversion.ledger import Ledger
from gateway.conversion.provider_counters import Counter, counter_of
from gateway.errors import GatewayError, InvalidRequest
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.relay.request_conversion import beside_the_loop, client_facts
from gateway.routing.resolve import Route
from gateway.upstream.failover.choices import Choices
from gateway.upstream.request_builder import UpstreamCall, upstream_call
from gateway.wire import jsontext
from gateway.wire.messages_request import CountedTokens, MessagesRequest

logger = logging.getLogger("gateway.relay")

PATIENCE: Final = 5.0
# seconds before a missing or silent counter is asked again
MISSING_FOR: Final = 3600.0
MUTE_FOR: Final = 60.0
MAX_COUNT: Final = 64 * 1024
_NO_SUCH_PATH: Final = frozenset({404, 405, 501})


class NotCounted(Exception):
    """The counter gave no number, and why (for the ledger). `rests`: seconds not to ask it again."""

    def __init__(self, why: str, rests: float = 0.0) -> None:
        super().__init__(why)
        self.rests = rests


async def provider_count(
    exchange: Exchange, gateway: Gateway, route: Route, request: MessagesRequest
) -> CountedTokens | None:
    """The answer of count_tokens by the provider's counter; None when it has none, or gave no number.

    It is asked once and has PATIENCE. The ledger says why there is no number. This process does not ask
    again for an hour when a counter is not there, and for a minute when it stayed silent.
    """
    counter = counter_of(route.profile)
    address = _address(route, counter)
    if counter is None or (gateway.without_counter.get(address) or 0.0) > gateway.clock():
        return None
    try:
        call = await _call(exchange, gateway, route, request, counter)
        return None if call is None else counter.answer(request, await _counted(gateway, call))
    except InvalidRequest as refused:
        exchange.ledger.defaulted(
            "input_tokens", f"estimated: no provider takes the request: {refused.message}"
        )
    except NotCounted as reason:
        exchange.ledger.defaulted("input_tokens", f"estimated: the provider's counter {reason}")
        if reason.rests:
            gateway.without_counter.put(address, gateway.clock() + reason.rests)
            logger.warning("no count from the provider", extra={"counter": address, "reason": str(reason)})
    return None


def _address(route: Route, counter: Counter | None) -> str:
    """A counter and the model: some report an unknown model the same way as a missing counter."""
    kind = counter.protocol if counter else ""
    return f"{route.provider.slug} {route.provider.base_url} {kind} {route.upstream_model}"


async def _call(
    exchange: Exchange, gateway: Gateway, route: Route, request: MessagesRequest, counter: Counter
) -> UpstreamCall | None:
    """None for a request that needs no provider, and when the counter may not be asked at the moment.

    Raises InvalidRequest.
    """
    facts = client_facts(exchange, gateway)

    def convert() -> Converted | AnsweredLocally:
        return counter.request(request, route.profile, facts, gateway.new_id, Ledger())

    converted = await beside_the_loop(exchange, gateway, route, request, convert)
    if isinstance(converted, AnsweredLocally):
        return None
    session = exchange.arrival.session or exchange.request_id
    choice = Choices((route,), session, gateway.health).next(gateway.now().timestamp(), 0.0)
    if choice is None:
        return None
    return upstream_call(
        route.provider,
        counter.protocol,
        converted.body,
        converted.headers,
        choice.credential.value if choice.credential else None,
        query=converted.query,
        below=counter.below,
    )


async def _counted(gateway: Gateway, call: UpstreamCall) -> CountedTokens:
    """Raises NotCounted."""
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await gateway.client.open(call)
            try:
                counted = _loaded(await answer.body(MAX_COUNT))
            finally:
                await answer.close()
    except TimeoutError:
        raise NotCounted(f"said nothing for {PATIENCE:g} s", MUTE_FOR) from None
    except GatewayError as error:
        raise NotCounted(f"could not be asked: {error.message}") from None
    if answer.status in _NO_SUCH_PATH and counted.get("type") != "error":
        # an error in the Messages API's form would mean that it knows the path but not the model
        raise NotCounted(f"is not there: status {answer.status}", MISSING_FOR)
    if answer.status != 200:
        raise NotCounted(f"answered with status {answer.status}")
    number = counted.get("input_tokens")
    if type(number) is not int or number < 0:
        raise NotCounted("told no number")
    return cast(CountedTokens, counted)


def _loaded(body: bytes) -> dict[str, Any]:
    try:
        counted = jsontext.loads(body)
    except jsontext.InvalidJSON:
        return {}
    return counted if isinstance(counted, dict) else {}
