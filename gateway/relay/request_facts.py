"""The facts of an exchange that the rules for its model ask for. No others are computed."""

from __future__ import annotations

import asyncio

from gateway.conversion.requests.token_count import plain_input_tokens
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.relay.request_conversion import client_facts, takes_long
from gateway.routing.facts import (
    ATTACHED,
    SHAPE,
    TOOL_NAMES,
    Attached,
    Client,
    Facts,
    Needs,
    RequestShape,
    attached_to,
    client_of,
    named_headers,
    shape_of,
    tool_names,
)
from gateway.routing.resolve import needed
from gateway.routing.snapshot import ConfigSnapshot
from gateway.wire.messages_request import MessagesRequest

_NO_SHAPE = RequestShape()
_NOTHING = Attached()


async def note_facts(
    exchange: Exchange, gateway: Gateway, request: MessagesRequest, snapshot: ConfigSnapshot
) -> Facts:
    """Compute the facts of a parsed request that the rules of `snapshot` ask for.

    Routing must use the same snapshot, even if a newer one arrives meanwhile."""
    needs = needed(snapshot, exchange.asked_model, exchange.purpose)
    exchange.needs = needs
    if needs.facts:
        tokens = None
        if "input_tokens" in needs.facts:
            tokens = await _input_tokens(exchange, gateway, request)
        exchange.facts = _facts(exchange, snapshot, request, needs, tokens)
    else:
        exchange.facts = Facts(purpose=exchange.purpose)
    return exchange.facts


async def _input_tokens(exchange: Exchange, gateway: Gateway, request: MessagesRequest) -> int:
    arguments = request, client_facts(exchange, gateway), exchange.recurring
    if takes_long(exchange.arrival.body):
        return await asyncio.to_thread(plain_input_tokens, *arguments)
    return plain_input_tokens(*arguments)


def _facts(
    exchange: Exchange, snapshot: ConfigSnapshot, request: MessagesRequest, needs: Needs, tokens: int | None
) -> Facts:
    arrival, wanted = exchange.arrival, needs.facts
    shape = _NO_SHAPE if wanted.isdisjoint(SHAPE) else shape_of(request)
    attached = _NOTHING
    if not wanted.isdisjoint(ATTACHED):
        attached = exchange.attached = attached_to(request)
    key = arrival.key
    in_groups = "group" in wanted and key is not None and key.owner_id is not None
    return Facts(
        purpose=exchange.purpose,
        input_tokens=tokens,
        images=attached.images,
        pdfs=attached.pdfs,
        thinking=shape.thinking,
        effort=shape.effort,
        tools=shape.tools,
        tool_names=tool_names(request) if TOOL_NAMES in wanted else frozenset(),
        web_search=shape.web_search,
        structured_output=shape.structured_output,
        streamed=exchange.streamed,
        max_tokens=shape.max_tokens,
        key=key.name if key else "",
        owner=key.owner if key else "",
        groups=snapshot.group_names.get(key.owner_id or 0, frozenset()) if in_groups and key else frozenset(),
        client=client_of(arrival.headers.get("user-agent", "")) if "client" in wanted else Client(),
        moment=exchange.started_at,
        headers=named_headers(arrival.headers, needs.headers),
    )
