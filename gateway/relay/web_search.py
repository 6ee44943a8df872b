"""The web search that the gateway makes for a request, once for all its tries."""

from __future__ import annotations

from typing import Any

from gateway.conversion.context import Converted
from gateway.conversion.tools.web_search import Searched, search_blocks, search_of
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.routing.resolve import Route
from gateway.upstream.search_engines import searched


async def search_for(
    exchange: Exchange, gateway: Gateway, route: Route, request: dict[str, Any]
) -> Searched | None:
    """What was searched for this request; None when there is nothing to search.

    The gateway searches where an engine is set up and the route's provider does not itself.
    """
    engine = gateway.configuration.snapshot.search_engine
    if engine is None or route.profile.web_search != "off" or route.profile.protocol == "anthropic":
        return None
    search = search_of(request)
    if search is None:
        return None
    if exchange.searched is None:
        exchange.searched = await searched(gateway.client, engine, search)
    return exchange.searched


def told(converted: Converted, made: Searched, exchange: Exchange, gateway: Gateway) -> Converted:
    """The same with the blocks of the search in front of the answer, and a line in the ledger."""
    what = f"failed: {made.problem}" if made.problem else f"{len(made.found)} results"
    exchange.ledger.replaced("tools", f"web search made by the gateway ({what})")
    return converted.leading_with(search_blocks(made, gateway.new_id("srvtoolu_")))
