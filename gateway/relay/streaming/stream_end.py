"""StreamEnd: the outcome of a streamed answer, and the last events, which wait until it is recorded."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from gateway.errors import GatewayError
from gateway.history.outcome import ExchangeOutcome, State
from gateway.relay.attempt import Upstream
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.finalize import ended
from gateway.relay.gateway import Gateway
from gateway.wire import sse
from gateway.wire.messages import Sent

logger = logging.getLogger("gateway.relay")


class StreamEnd:
    """Call `decide`, then `settle`, or `hand_over` if the client is gone. `waits`: neither was called."""

    __slots__ = ("_exchange", "_final", "_gateway", "_outcome")

    def __init__(self, exchange: Exchange, gateway: Gateway) -> None:
        self._exchange = exchange
        self._gateway = gateway
        self._outcome: ExchangeOutcome | None = None
        self._final = b""

    @property
    def waits(self) -> bool:
        return self._outcome is not None

    def decide(
        self, upstream: Upstream, state: State, ready: bytes, final: bytes, error: GatewayError | None
    ) -> None:
        """Take the outcome. `ready` goes out at once, `final` when the outcome is recorded."""
        exchange, gateway = self._exchange, self._gateway
        self._final = final
        exchange.note_returned(ready)
        exchange.note_returned(final)
        try:
            upstream.note_facts()
        except Exception:
            # record the exchange without them
            logger.exception("unexpected error", extra={"request_id": exchange.request_id})
        self._outcome = exchange.outcome(state, status=200, error=error, now=gateway.clock())
        ended(exchange, gateway, self._outcome)

    async def settle(self) -> bytes:
        """Wait until the outcome is recorded. Returns the last event."""
        outcome, self._outcome = self._outcome, None
        assert outcome is not None
        await self._gateway.recorder.settled(outcome)
        return self._final

    def hand_over(self) -> None:
        """Record an outcome that nobody will wait for: the client is gone."""
        if self._outcome is not None:
            outcome, self._outcome = self._outcome, None
            self._gateway.recorder.closed(outcome)


def encoded(events: Sequence[Sent]) -> bytes:
    return sse.encode_all(events) if events else b""
