"""The gateway's own check of an answer's calls: one request to the model that a mapping names for it.

It is an exchange of its own in the history, with the key, session and prompt of the request that it is for,
so that its cost is counted to them and told apart. It takes no place and no share of a rate: it is part of a
request that has both.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.client_protocol.purpose import (
    AGENT,
    PARENT_AGENT,
    SESSION,
    RequestClass,
    own_check,
)
from gateway.client_protocol.safeguards import Unavailable, asks_for_verdicts, context_of, own_rules
from gateway.errors import GatewayError, UnknownModel
from gateway.relay.exchange.exchange import Arrival, Exchange, Findings
from gateway.relay.exchange.listening_recorder import ListeningRecorder
from gateway.relay.gateway import Gateway
from gateway.relay.reply import Reply, Whole
from gateway.routing.facts import Facts
from gateway.routing.resolve import resolve, taking
from gateway.safeguards.classifier import Opinion, opinions, prompts_of, question
from gateway.safeguards.rules import Action
from gateway.wire import jsontext

logger = logging.getLogger("gateway.relay")

Ask = Callable[[Arrival, Gateway], Awaitable[Reply]]
_KEPT_HEADERS: Final = (SESSION, AGENT, PARENT_AGENT, "user-agent")
# classes whose first message another model wrote
_STARTED_BY_MODELS: Final = (RequestClass.SUBAGENT, RequestClass.WORKFLOW)
# seconds for the work around the call, in addition to the patience with the model
_AROUND: Final = 3.0
_GATEWAY_TIMEOUT: Final = 504


def classifier_for(exchange: Exchange, gateway: Gateway, ask: Ask) -> Classifier | None:
    """Who judges what the rules leave open; None: the client does not ask, or no mapping names a model."""
    request, snapshot = exchange.received_json or {}, gateway.configuration.snapshot
    if exchange.arrival.purpose is not None or not asks_for_verdicts(request):
        return None
    check = Facts(purpose=own_check({}))
    if not taking(snapshot, check.purpose).rules:
        return None
    try:
        resolve(snapshot, exchange.asked_model, check)
    except UnknownModel:
        return None
    except GatewayError:
        # a mapping names a model that cannot be asked now; the history says so for each check
        pass
    return Classifier(exchange, gateway, ask)


class Classifier:
    """`ask` serves an arrival as the API does, and never raises for a failure."""

    def __init__(self, exchange: Exchange, gateway: Gateway, ask: Ask) -> None:
        self._exchange = exchange
        self._gateway = gateway
        self._ask = ask

    async def __call__(self, actions: Sequence[Action]) -> Findings:
        """What the model says of these actions, whose inputs could be read."""
        gateway, received = self._gateway, self._exchange.received_json or {}
        started = gateway.clock()
        try:
            asking = question(
                actions,
                prompts_of(received.get("messages")),
                own_rules(context_of(received)),
                by_model=self._exchange.purpose.request_class in _STARTED_BY_MODELS,
            )
            if not asking.asked:
                return Findings({action.id: Unavailable.INPUT_TOO_LONG for action in actions})
            arrival = self._arrival({"model": self._exchange.asked_model, **asking.request})
        except (TypeError, ValueError, RecursionError):
            # an input that is not JSON
            return Findings({action.id: Unavailable.INPUT_UNPARSED for action in actions})
        listening = ListeningRecorder(gateway.recorder)
        patient = dataclasses.replace(
            gateway,
            recorder=listening,
            call_timeout=gateway.check_patience,
            retry_budget=min(gateway.retry_budget, gateway.check_patience),
        )
        said: dict[int, Opinion] = {}
        missing = Unavailable.ERROR
        try:
            async with asyncio.timeout(gateway.check_patience + _AROUND):
                reply = await self._ask(arrival, patient)
            said, missing = _read(reply, len(asking.asked))
        except TimeoutError:
            missing = Unavailable.TIMEOUT
        except Exception:
            logger.exception("unexpected error", extra={"request_id": arrival.request_id})
        left_out = list(actions)
        found: dict[str, Opinion | Unavailable] = {}
        for place, action in enumerate(asking.asked, 1):
            left_out.remove(action)
            _keep_stricter(found, action.id, said.get(place, missing))
        for action in left_out:
            _keep_stricter(found, action.id, Unavailable.INPUT_TOO_LONG)
        took_ms = round((gateway.clock() - started) * 1000)
        model = "" if listening.outcome is None else listening.outcome.upstream_model
        return Findings(found, model, took_ms, arrival.request_id)

    def _arrival(self, request: dict[str, object]) -> Arrival:
        arrival = self._exchange.arrival
        headers = {name: arrival.headers[name] for name in _KEPT_HEADERS if name in arrival.headers}
        return Arrival(
            request_id=self._gateway.new_id("req_"),
            endpoint="messages",
            # the history shows it under the purpose that the caller gave
            headers={**headers, "request-id": arrival.request_id},
            body=jsontext.dumps(request),
            address=arrival.address,
            key=arrival.key,
            purpose=own_check(arrival.headers),
        )


def _keep_stricter(found: dict[str, Opinion | Unavailable], name: str, one: Opinion | Unavailable) -> None:
    """Calls may have the same id; then the strictest finding counts for all of them."""
    if _strictness(one) >= _strictness(found.get(name)):
        found[name] = one


def _strictness(one: Opinion | Unavailable | None) -> int:
    if isinstance(one, Opinion):
        return 3 if one.decision == "deny" else 1
    return 0 if one is None else 2


def _read(reply: Reply, number: int) -> tuple[dict[int, Opinion], Unavailable]:
    """What the reply says of each action, and why it says nothing of the others."""
    if not isinstance(reply, Whole) or reply.status != 200:
        late = isinstance(reply, Whole) and reply.status == _GATEWAY_TIMEOUT
        return {}, Unavailable.TIMEOUT if late else Unavailable.ERROR
    message = jsontext.loads(reply.body)
    texts = [block["text"] for block in message["content"] if block.get("type") == "text"]
    stop = message.get("stop_reason")
    if stop == "refusal":
        return {}, Unavailable.REFUSED
    if stop != "end_turn":
        return {}, Unavailable.TRUNCATED if stop == "max_tokens" else Unavailable.ERROR
    return opinions("".join(texts), number), Unavailable.ERROR
