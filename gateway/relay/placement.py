"""The arm that an exchange gets in its mapping, and the note about it in the record."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from gateway.relay.admission import affordable
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.routing.resolve import Route
from gateway.routing.shares import Arm, identity_of


def placed(
    exchange: Exchange, gateway: Gateway, request: Mapping[str, object], routes: tuple[Route, ...]
) -> tuple[Route, ...]:
    """`routes` with the arm of the exchange's session first, if their mapping divides its sessions.

    A session gets no arm that its key cannot pay for: the request would not go there, and would count as a
    failure of that arm.
    """
    shares = routes[0].rule.shares
    if shares is None:
        return routes
    key = exchange.arrival.key
    identity = identity_of(exchange.arrival.headers, request, key.holder if key else "")
    now = exchange.started_at.timestamp()
    usable = {route.arm for route in affordable(exchange, gateway, routes)}
    arm = shares.arm(identity, now, usable)
    if arm is None:
        return routes
    exchange.arm = arm
    if arm.moved_from and _goes_on(request):
        weighting = shares.at(now)
        _note_move(exchange, gateway, (routes[0].rule.id, weighting.since, identity), arm, weighting.step)
    first = next(route for route in routes if route.arm == arm.name)
    return (first, *(route for route in routes if route is not first))


def _note_move(exchange: Exchange, gateway: Gateway, move: Hashable, arm: Arm, step: float) -> None:
    """Log once in this process for each `move` that a step moved a session."""
    if gateway.moves.get(move) is None:
        gateway.moves.put(move, True)
        exchange.move = f"from {arm.moved_from} to {arm.name}, by the step to {100 * step:g} %"


def _goes_on(request: Mapping[str, object]) -> bool:
    """Whether the conversation has an answer already."""
    messages = request.get("messages")
    return type(messages) is list and len(messages) > 1
