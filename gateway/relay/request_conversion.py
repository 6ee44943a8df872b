"""The client's request converted for one target, after a web search if it needs one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from gateway.conversion.blocks.pdf import NotReadYet
from gateway.conversion.context import AnsweredLocally, ClientFacts, Converted
from gateway.conversion.dialects import DIALECTS
from gateway.conversion.ledger import Ledger
from gateway.conversion.provider_state import MORE_THAN_BODY, Seal
from gateway.conversion.requests.token_count import plain_input_tokens
from gateway.conversion.tokens.vocabulary import ready
from gateway.conversion.tools.web_search import Searched, search_blocks, search_of, with_results
from gateway.conversion.validation.request_checks import check, refuse_unsupported
from gateway.pricing.price import Tokens
from gateway.relay.admission import charge_tokens
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.relay.pdf_extraction.request_files import read_files
from gateway.routing.resolve import Route
from gateway.upstream.search_engines import searched
from gateway.wire.messages_request import MessagesRequest
from gateway.wire.request_cache import NOTHING


async def search_for(
    exchange: Exchange, gateway: Gateway, route: Route, request: MessagesRequest
) -> Searched | None:
    """Search the web for this request; None if there is nothing to search.

    The gateway searches when an engine is set up and the route's provider does not search itself.
    """
    engine = gateway.configuration.snapshot.search_engine
    if engine is None or route.profile.web_search != "off" or route.profile.protocol == "anthropic":
        return None
    search = search_of(request)
    if search is None:
        return None
    if exchange.searched is None:
        await _may_search(exchange, gateway, request)
        exchange.searched = await searched(gateway.client, engine, search)
    return exchange.searched


async def _may_search(exchange: Exchange, gateway: Gateway, request: MessagesRequest) -> None:
    """A search costs money: nothing is searched for a request that would then be refused.

    Raises InvalidRequest, and what charging the limits of the key raises.
    """
    check(request)
    refuse_unsupported(request)
    if exchange.arrival.key is not None and exchange.arrival.key.counted:
        given = plain_input_tokens(request, client_facts(exchange, gateway), exchange.recurring)
        await charge_tokens(exchange, gateway, Tokens(given, request["max_tokens"]))


def told(converted: Converted, made: Searched, exchange: Exchange, gateway: Gateway) -> Converted:
    """The request with the blocks of the search in front of its answer, noted in the ledger."""
    what = f"failed: {made.problem}" if made.problem else f"{len(made.found)} results"
    exchange.ledger.replaced("tools", f"web search made by the gateway ({what})")
    return converted.leading_with(search_blocks(made, gateway.new_id("srvtoolu_")))


T = TypeVar("T")
PDF: Final = b"application/pdf"
# bytes; counting this many for the first time takes about 4 ms
LARGE: Final = 256 * 1024
# JSON objects, about: converting a small message, block or tool takes 10 to 30 µs. A conversation of 1.25 MB
# with 60 calls of tools has 2,100 containers. A shorter body has no room for so many.
MANY: Final = 2000
UNCOUNTED: Final = 16 * 1024


async def conversion(
    exchange: Exchange, gateway: Gateway, route: Route, request: MessagesRequest
) -> Converted | AnsweredLocally:
    """The provider's request, with a ledger of its own. Raises InvalidRequest."""
    made = await search_for(exchange, gateway, route, request)
    asked = request if made is None else with_results(request, made)
    recurring = exchange.recurring if made is None else NOTHING
    facts = client_facts(exchange, gateway)
    request_of = DIALECTS[route.profile.protocol].request
    new_id = gateway.new_id if exchange.diagnosis is None else exchange.diagnosis.noting(gateway.new_id)

    def convert() -> Converted | AnsweredLocally:
        exchange.ledger = Ledger()
        return request_of(asked, route.profile, facts, new_id, exchange.ledger, recurring)

    converted = await beside_the_loop(exchange, gateway, route, asked, convert)
    exchange.estimated_input_tokens = converted.context.estimated_input_tokens
    exchange.input_counts = converted.context.input_counts
    if made is not None and isinstance(converted, Converted):
        return told(converted, made, exchange, gateway)
    return converted


def client_facts(exchange: Exchange, gateway: Gateway) -> ClientFacts:
    """What a conversion needs to know about the client besides the request's body."""
    arrival = exchange.arrival
    return ClientFacts(
        key_id=str(arrival.key.id) if arrival.key else "",
        session=arrival.session,
        api_version=arrival.headers.get("anthropic-version"),
        headers=arrival.headers,
        query=arrival.query,
        seal=Seal(gateway.seal_keys, arrival.holder),
        opaque_budget=len(arrival.body) + MORE_THAN_BODY,
        page_texts=exchange.page_texts,
        diagnostics=None if exchange.diagnosis is None else exchange.diagnosis.answer,
    )


def takes_long(body: bytes) -> bool:
    """Whether counting or converting this body may hold the event loop for milliseconds."""
    return len(body) > LARGE or (len(body) > UNCOUNTED and body.count(b"{") > MANY)


async def beside_the_loop(
    exchange: Exchange, gateway: Gateway, route: Route, request: MessagesRequest, work: Callable[[], T]
) -> T:
    """Do the work here, or in a thread when it takes long, so that other exchanges go on.

    It takes long when it involves the text of a PDF, when it counts a large body for the first time, when
    the body has many parts, and when a vocabulary has to be loaded, which a change of the configuration may
    require. Work on `request` that needs the text of a PDF is repeated once the file has been read.
    """
    body, profile, arrival = exchange.arrival.body, route.profile, exchange.arrival
    owner = str(arrival.key.id) if arrival.key else arrival.address
    in_thread = (
        takes_long(body) or (profile.pdf == "extract" and PDF in body) or not ready(profile.vocabulary)
    )
    while True:
        try:
            return await asyncio.to_thread(work) if in_thread else work()
        except NotReadYet as missing:
            await read_files(gateway.pdf_workers, owner, request, missing.data, exchange.page_texts)
            in_thread = True
