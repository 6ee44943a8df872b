"""What follows the end of an exchange, however it ended; its one log line."""

from __future__ import annotations

import logging
from typing import Final

from gateway.history.outcome import BROKEN, ERROR, ExchangeOutcome
from gateway.relay.admission import leave
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.telemetry import metrics

logger = logging.getLogger("gateway.exchange")

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
)


def log_outcome(outcome: ExchangeOutcome) -> None:
    """One line at INFO, or at WARNING when the client got an error that is not its own fault."""
    failed = outcome.state == BROKEN or (outcome.state == ERROR and (outcome.status or 500) >= 500)
    level = logging.WARNING if failed else logging.INFO
    if logger.isEnabledFor(level):
        logger.log(level, "exchange", extra={name: getattr(outcome, name) for name in _FIELDS})


def ended(exchange: Exchange, gateway: Gateway, outcome: ExchangeOutcome) -> None:
    """Settle what it used, release its place, count it, and log one line."""
    leave(exchange, gateway, outcome)
    if exchange.diagnosis is not None:
        exchange.diagnosis.remember(outcome, gateway.diagnosed)
    if gateway.counting:
        metrics.ended(outcome)
    log_outcome(outcome)
    if gateway.shadows is not None:
        gateway.shadows.ended(exchange, gateway, outcome)
