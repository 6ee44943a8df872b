"""What follows when an exchange has ended, however it did."""

from __future__ import annotations

from gateway.history.outcome import ExchangeOutcome
from gateway.relay.admission import leave
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.exchange.logs import log_outcome
from gateway.relay.gateway import Gateway
from gateway.telemetry import metrics


def ended(exchange: Exchange, gateway: Gateway, outcome: ExchangeOutcome) -> None:
    """Settle what it used, make room for the next one, count it, and leave one line in the log."""
    leave(exchange, gateway, outcome)
    if gateway.counting:
        metrics.ended(outcome)
    log_outcome(outcome)
