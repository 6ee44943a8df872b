"""What follows the end of every exchange, and its one log line."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Final

from gateway.history.outcome import BROKEN, ERROR, OK, ExchangeOutcome
from gateway.history.totals.costs import cost_of
from gateway.relay.admission import leave
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.telemetry import metrics
from gateway.wire.trace_context import traceparent

logger = logging.getLogger("gateway.exchange")
# characters of a client's own id, as in its column
LONGEST_ID: Final = 100

_FIELDS: Final = (
    "request_id",
    "endpoint",
    "state",
    "status",
    "client_address",
    "key_name",
    "owner_id",
    "session_id",
    "asked_model",
    "provider",
    "upstream_model",
    "streamed",
    "stop_reason",
    "input_tokens",
    "output_tokens",
    "first_byte_ms",
    "duration_ms",
    "attempts",
    "error_type",
    "error_message",
    "caller_request_id",
)
_FIRST_FAILURE: Final = ("request_id", "upstream_model", "status", "error_type", "error_message")


def _note(outcome: ExchangeOutcome, gateway: Gateway) -> None:
    """Whether the provider that was asked fails: an error that is not the client's own fault."""
    asked = outcome.provider if outcome.attempts else ""
    if outcome.state == BROKEN or (outcome.state == ERROR and (outcome.status or 500) >= 500):
        facts = {name: getattr(outcome, name) for name in _FIRST_FAILURE}
        gateway.outages.failed(asked, gateway.clock(), facts)
    elif outcome.state == OK and asked:
        gateway.outages.answered(asked, gateway.clock())


def _log(exchange: Exchange, outcome: ExchangeOutcome, cost: Decimal | None) -> None:
    """One line. `cost` in US dollars; None: unknown."""
    facts = {name: getattr(outcome, name) for name in _FIELDS}
    facts["caller_request_id"] = outcome.caller_request_id[:LONGEST_ID]
    facts["traceparent"] = traceparent(exchange.arrival.headers)
    facts["cost"] = None if cost is None else float(cost)
    logger.info("exchange", extra=facts)


def ended(exchange: Exchange, gateway: Gateway, outcome: ExchangeOutcome) -> None:
    """Settle what it used, release its place, count it, and log one line."""
    leave(exchange, gateway, outcome)
    if exchange.diagnosis is not None:
        exchange.diagnosis.remember(outcome, gateway.diagnosed)
    _note(outcome, gateway)
    logged = logger.isEnabledFor(logging.INFO)
    if gateway.counting or logged:
        cost, _ = cost_of(outcome, gateway.configuration.snapshot.prices)
        if gateway.counting:
            key = exchange.arrival.key
            owner = key.owner if key is not None and gateway.counting_owners else ""
            groups = gateway.configuration.snapshot.counted_groups
            member = groups.get(key.owner_id, ()) if groups and key is not None and key.owner_id else ()
            metrics.ended(outcome, cost, owner, member)
        if logged:
            _log(exchange, outcome, cost)
    if gateway.shadows is not None:
        gateway.shadows.ended(exchange, gateway, outcome)
