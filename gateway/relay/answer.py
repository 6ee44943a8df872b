"""One exchange, told on one screen: parse, resolve, convert, ask the provider, answer.

`answered` does all of it, and raises only when the client goes away. However the exchange ends,
its outcome reaches the recorder: here for whole answers and errors, in the pump for streams.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, cast

from gateway.client_protocol.novelties import novelties_of
from gateway.client_protocol.purpose import purpose_of
from gateway.client_protocol.refusals import as_told
from gateway.conversion.answers.chat_message import message_events
from gateway.conversion.context import AnsweredLocally
from gateway.conversion.requests.token_count import count_tokens
from gateway.conversion.tokens.client_window import scaled, usage_scale
from gateway.conversion.validation.request_checks import check, refuse_unsupported
from gateway.errors import GatewayError, InternalError, InvalidRequest, NotAllowed, RequestTooLarge
from gateway.history.outcome import CANCELLED, ERROR, OK
from gateway.history.record import capture
from gateway.limits.limiter import unpriced
from gateway.relay import admission
from gateway.relay.exchange.cache_diagnostics import CacheDiagnosis, asks
from gateway.relay.exchange.exchange import Arrival, Exchange
from gateway.relay.finalize import ended
from gateway.relay.gateway import Gateway
from gateway.relay.placement import placed
from gateway.relay.provider_token_count import provider_count
from gateway.relay.reply import STREAM_HEADERS, Reply, Streamed, Whole, json_reply
from gateway.relay.request_conversion import beside_the_loop, client_facts
from gateway.relay.request_facts import note_facts
from gateway.relay.safety.classifier import classifier_for
from gateway.relay.streaming.pump import Pump
from gateway.relay.tries import Tries
from gateway.routing.allowed_models import model_allowed, model_lists
from gateway.routing.resolve import Route, resolve
from gateway.wire import json_bounds, jsontext, sse
from gateway.wire.messages_request import CountedTokens, MessagesRequest

logger = logging.getLogger("gateway.relay")

# Bytes of the largest body that is parsed on the event loop, where the parts that it shares with earlier
# requests are known. Larger ones are parsed whole in a thread, as are those of more than SMALL bytes with
# very many values. A conversation of 1.25 MB has about 2,100 objects and 22,000 values.
LARGEST_ON_LOOP: Final = 4 * 1024 * 1024
SMALL: Final = 1024 * 1024
MANY_OBJECTS: Final = 20_000
# members of one object, the slowest of values, take 0.8 µs each: as many of them as SMALL bytes can hold
MANY_VALUES: Final = 110_000
# Anthropic's own limit for its tool search
MOST_TOOLS: Final = 10_000
# models that an error lists, of those that the key may ask for
_MOST_NAMED: Final = 8


async def answered(arrival: Arrival, gateway: Gateway) -> Reply:
    """Serve one request of `messages` or `count_tokens`; errors come back as replies."""
    exchange = opened(arrival, gateway)
    try:
        if arrival.purpose is None:
            # a check of an answer that has begun belongs to it, also while the process drains
            gateway.live.admit()
        admission.not_stopped(exchange, gateway)
        if arrival.endpoint == "count_tokens":
            return await finished(exchange, gateway, await counted(exchange, gateway))
        reply = await answer(exchange, gateway)
        return reply if isinstance(reply, Streamed) else await finished(exchange, gateway, reply)
    except GatewayError as error:
        return await failed(exchange, gateway, error)
    except asyncio.CancelledError:
        outcome = exchange.outcome(CANCELLED, now=gateway.clock())
        gateway.recorder.closed(outcome)
        ended(exchange, gateway, outcome)
        raise
    except RecursionError:
        return await failed(exchange, gateway, InvalidRequest("The request body is nested too deeply"))
    except Exception:
        logger.exception("unexpected error", extra={"request_id": exchange.request_id})
        return await failed(exchange, gateway, InternalError())


async def answer(exchange: Exchange, gateway: Gateway) -> Reply:
    """Answer a messages request. Raises GatewayError before the commit point."""
    request = await parsed(exchange, gateway)
    routes = await routed(exchange, gateway, request)
    await admission.come_in(exchange, gateway)
    exchange.classifier = classifier_for(exchange, gateway, answered)
    priced = admission.payable(exchange, gateway, routes)
    # raises if only targets without a price are left
    beyond = unpriced(exchange.asked_model) if len(priced) < len(routes) else None
    tries = Tries(exchange, gateway, priced, request, beyond)
    local = await tries.prepare()
    if local is not None:
        await admission.charge_request(exchange, gateway)
        return answered_locally(exchange, local)
    await admission.charge(exchange, gateway, tries)
    admission.still_admitted(exchange, gateway)
    if not exchange.streamed:
        message = await gateway.live.guarded(tries.message(), exchange.arrival.key)
        return json_reply(message, headers=exchange.reply_headers)
    pump = Pump(exchange, gateway, tries)
    await pump.commit()
    return Streamed(pump, exchange.reply_headers)


def opened(arrival: Arrival, gateway: Gateway) -> Exchange:
    key_policy = arrival.key.capture if arrival.key else ""
    return Exchange(
        arrival=arrival,
        started_at=gateway.now(),
        started=gateway.clock(),
        capture_policy=capture.policy(key_policy, gateway.capture_policy),
        served_by=gateway.process,
    )


async def parsed(exchange: Exchange, gateway: Gateway) -> MessagesRequest:
    """The body's JSON: an object that names a model. Everything else is checked where it is converted.

    Raises InvalidRequest, RequestTooLarge.
    """
    body = exchange.arrival.body
    try:
        if len(body) > LARGEST_ON_LOOP or _has_many_values(body):
            request = await asyncio.to_thread(json_bounds.loads, body)
        else:
            if json_bounds.may_be_too_much(body):
                await asyncio.to_thread(json_bounds.check, body)
            request, exchange.recurring = gateway.reader.read(body)
    except json_bounds.TooMuchJSON as problem:
        raise RequestTooLarge(f"The request body has {problem}") from None
    except jsontext.InvalidJSON as problem:
        raise InvalidRequest(f"The request body is not valid JSON: {problem}") from None
    if not isinstance(request, dict):
        raise InvalidRequest("Input should be a valid dictionary")
    model = request.get("model")
    if model is None:
        raise InvalidRequest("model: Field required")
    if not isinstance(model, str):
        raise InvalidRequest("model: Input should be a valid string")
    tools = request.get("tools")
    if isinstance(tools, list) and len(tools) > MOST_TOOLS:
        raise InvalidRequest(f"tools: List should have at most {MOST_TOOLS} items after validation")
    exchange.received_json = request
    exchange.asked_model = model
    exchange.streamed = request.get("stream") is True and exchange.arrival.endpoint != "count_tokens"
    headers = exchange.arrival.headers
    own = exchange.arrival.purpose
    exchange.purpose = own or purpose_of(request, headers, exchange.arrival.endpoint)
    exchange.novelties = [] if own else [list(novelty) for novelty in novelties_of(request, headers)]
    if asks(request) and exchange.arrival.endpoint == "messages":
        exchange.diagnosis = await asyncio.to_thread(
            CacheDiagnosis, request, body, exchange.arrival.holder, gateway.diagnosed
        )
    return cast(MessagesRequest, request)


def _has_many_values(body: bytes) -> bool:
    """An estimate by braces and commas, those inside texts included."""
    return len(body) > SMALL and (body.count(b"{") > MANY_OBJECTS or body.count(b",") > MANY_VALUES)


async def routed(exchange: Exchange, gateway: Gateway, request: MessagesRequest) -> tuple[Route, ...]:
    """Where the request may go, best first, if its key may ask for that model."""
    model = request["model"]
    key = exchange.arrival.key
    snapshot = gateway.configuration.snapshot
    facts = await note_facts(exchange, gateway, request, snapshot)
    routes = resolve(snapshot, model, facts).routes
    if key is not None and not model_allowed(key, model, snapshot, facts):
        contact = snapshot.contact
        raise NotAllowed(
            f"Your API key does not have permission to use the specified resource: model {model} "
            f"(it may ask for: {' that are also '.join(map(_few, model_lists(key)))}; for more ask {contact})"
        )
    routes = placed(exchange, gateway, request, routes)
    exchange.route = routes[0]
    gateway.recorder.opened(exchange.begun())
    return routes


def _few(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def answered_locally(exchange: Exchange, local: AnsweredLocally) -> Reply:
    """A request that needs no provider; sent as a complete sequence of events when a stream was asked for."""
    exchange.message_ended(local.message)
    exchange.usage_estimated = True
    if not exchange.streamed:
        return json_reply(local.message)
    return Whole(200, sse.encode_all(message_events(local.message)), STREAM_HEADERS)


async def counted(exchange: Exchange, gateway: Gateway) -> Whole:
    """count_tokens: by the provider's own counter, else estimated here.

    See docs/conversion.md, "Counting tokens".
    """
    request = await parsed(exchange, gateway)
    route = (await routed(exchange, gateway, request))[0]
    await admission.come_in(exchange, gateway)
    await admission.charge_request(exchange, gateway)
    by_provider = await provider_count(exchange, gateway, route, request)
    if by_provider is not None:
        told = by_provider
    else:
        facts = client_facts(exchange, gateway)

        def estimate() -> CountedTokens:
            check(request, counting=True)
            refuse_unsupported(request, counting=True)
            return count_tokens(request, route.profile, facts)

        told = await beside_the_loop(exchange, gateway, route, request, estimate)
        exchange.usage_estimated = True
    exchange.usage = {"input_tokens": told["input_tokens"]}
    scale = usage_scale(route.profile, exchange.asked_model, exchange.arrival.headers)
    return json_reply(scaled(told, scale), headers=exchange.reply_headers)


async def finished(exchange: Exchange, gateway: Gateway, reply: Whole) -> Whole:
    exchange.first_byte_at = exchange.first_byte_at or gateway.clock()
    exchange.returned.add(reply.body)
    outcome = exchange.outcome(OK, status=reply.status, now=gateway.clock())
    await gateway.recorder.settled(outcome)
    ended(exchange, gateway, outcome)
    return reply


async def failed(exchange: Exchange, gateway: Gateway, error: GatewayError) -> Whole:
    """The error as the client's answer, and in the history."""
    key = exchange.arrival.key
    if key is not None and key.signed_in:
        error = as_told(error)
    body = jsontext.dumps(error.body(exchange.request_id)) if error.verbatim is None else error.verbatim
    reply = Whole(error.status, body, error.headers())
    exchange.returned.add(reply.body)
    outcome = exchange.outcome(ERROR, status=error.status, error=error, now=gateway.clock())
    try:
        await gateway.recorder.settled(outcome)
    finally:
        # shielded, so that it is written even if the client leaves
        ended(exchange, gateway, outcome)
    return reply


async def refused(arrival: Arrival, gateway: Gateway, error: GatewayError) -> Whole:
    """A request that is refused before its body was readable."""
    return await failed(opened(arrival, gateway), gateway, error)
