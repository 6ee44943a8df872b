"""The Messages API: messages, count_tokens, models."""

from __future__ import annotations

from datetime import UTC, date, datetime

from django.http import HttpResponseBase

from gateway.api.body import plain_body
from gateway.api.endpoint import endpoint
from gateway.api.models_list import model_entry, model_page
from gateway.api.refusals import checked_key
from gateway.api.request import GatewayRequest
from gateway.api.responses import Answer, json_response, reply_answer
from gateway.app.runtime import runtime
from gateway.conf import gateway_conf
from gateway.errors import GatewayError
from gateway.relay.answer import answered, refused
from gateway.relay.exchange.exchange import Arrival
from gateway.relay.gateway import Gateway
from gateway.routing.snapshot import KeyEntry


@endpoint("POST")
async def messages(request: GatewayRequest, request_id: str) -> Answer:
    """POST /v1/messages, streamed or not."""
    return await _exchange(request, request_id, "messages")


@endpoint("POST")
async def count_tokens(request: GatewayRequest, request_id: str) -> Answer:
    """POST /v1/messages/count_tokens, by the provider's counter or estimated."""
    return await _exchange(request, request_id, "count_tokens")


@endpoint("GET", "HEAD")
async def models(request: GatewayRequest, request_id: str) -> HttpResponseBase:
    """GET /v1/models: the names this key may ask for."""
    gateway = await runtime.gateway()
    key = authenticated_key(request, gateway)
    return json_response(model_page(request.GET, gateway.configuration.snapshot, key, _today()), request_id)


@endpoint("GET", "HEAD")
async def model(request: GatewayRequest, request_id: str, model_id: str) -> HttpResponseBase:
    """GET /v1/models/{id}; the id may contain slashes and colons."""
    gateway = await runtime.gateway()
    key = authenticated_key(request, gateway)
    return json_response(model_entry(model_id, gateway.configuration.snapshot, key, _today()), request_id)


def _today() -> date:
    return datetime.now(UTC).date()


async def _exchange(request: GatewayRequest, request_id: str, name: str) -> Answer:
    gateway = await runtime.gateway()
    key = authenticated_key(request, gateway)
    headers, address, query = request.lower_headers, request.address, request.query
    try:
        body = await plain_body(request.body, headers, gateway_conf().max_body_bytes)
    except GatewayError as error:
        arrival = Arrival(request_id, name, headers, b"", address, key, query=query)
        return reply_answer(await refused(arrival, gateway, error), request_id)
    arrival = Arrival(request_id, name, headers, body, address, key, query=query)
    return reply_answer(await answered(arrival, gateway), request_id)


def authenticated_key(request: GatewayRequest, gateway: Gateway) -> KeyEntry | None:
    """Who asks; a refused key is noted. Raises AuthenticationFailed."""
    return checked_key(
        request.lower_headers,
        request.address,
        request.path,
        gateway.configuration.snapshot,
        request.scope["http_version"],
    )
